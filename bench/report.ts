import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Machine } from './machine.ts';
import { type Command, measure } from './measure.ts';
import { megabytes, type Row, type Unit } from './row.ts';

const ROOT = join(import.meta.dirname, '..');
const HEAD = [
  'work',
  'against',
  'cofre',
  'peer',
  'ratio',
  'at most',
  'verdict',
  'verification',
  'with it',
  'remarks',
];

export interface Report {
  /** ISO 8601, UTC. */
  at: string;
  /** Of each contestant, after one to warm up. */
  runs: number;
  scale: number;
  /** Too few runs or too little data to say much. */
  quick_look: boolean;
  machine: Machine;
  rows: Row[];
}

/** The table for people, in Markdown. */
export function formatReport({ at, runs, scale, quick_look, machine, rows }: Report): string {
  const remarks: string[] = [];
  const lines = rows.map((row) => `| ${cellsOf(row, remarks).join(' | ')} |`);
  const look = quick_look ? ' **A quick look, which proves nothing.**' : '';
  return [
    `Measured on ${at.slice(0, 10)}: medians of ${runs} runs in turn after one to warm up, scale ${scale}.${look}`,
    'The times of a backup are for the whole process, start to exit, without its verification.',
    '',
    `| ${HEAD.join(' | ')} |`,
    `|${HEAD.map(() => '---').join('|')}|`,
    ...lines,
    '',
    ...remarks.map((remark, index) => `${index + 1}. ${remark}`),
    '',
    '| | |',
    '|---|---|',
    ...Object.entries(machine).map(([name, value]) => `| ${name} | ${value} |`),
    '',
  ].join('\n');
}

/** Writes `<base>.json` and `<base>.md`; returns their paths. */
export async function writeReport(report: Report, base: string, signal: AbortSignal): Promise<string[]> {
  const paths = [`${base}.json`, `${base}.md`] as const;
  await mkdir(dirname(base), { recursive: true });
  await writeFile(paths[0], `${JSON.stringify(report, rounded, 2)}\n`);
  await writeFile(paths[1], formatReport(report));
  // Results are kept in the repository, where every JSON file is formatted.
  const formatter: Command = [join(ROOT, 'node_modules/.bin/biome'), 'format', '--write', paths[0]];
  await measure(formatter, { signal });
  return [...paths];
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toFixed(3)) : value;
}

function cellsOf(row: Row, remarks: string[]): string[] {
  const numbers = row.remarks.map((remark) => {
    const known = remarks.indexOf(remark);
    return known === -1 ? remarks.push(remark) : known + 1;
  });
  const target = row.at_most;
  return [
    escaped(row.work),
    code(row.against),
    amount(row.ours?.median, row.unit),
    amount(row.theirs?.median, row.unit),
    row.ratio?.toFixed(2) ?? '',
    target === undefined ? '' : row.theirs === undefined ? amount(target, row.unit) : target.toFixed(2),
    row.verdict === 'falls short' || row.verdict === 'failed' ? `**${row.verdict}**` : row.verdict,
    amount(row.verification_ms, 'ms'),
    amount(row.with_verification_ms, 'ms'),
    numbers.join(', '),
  ];
}

/** A pipe ends a cell of a table, in code as well. */
function code(text: string): string {
  return text === '' || text === 'limit' || text.includes('`') ? escaped(text) : `\`${escaped(text)}\``;
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|');
}

function amount(value: number | undefined, unit: Unit): string {
  if (value === undefined) return '';
  if (unit === 'bytes') return megabytes(value);
  return Math.abs(value) < 1_000
    ? `${value.toFixed(value < 10 ? 1 : 0)} ms`
    : `${(value / 1_000).toFixed(2)} s`;
}
