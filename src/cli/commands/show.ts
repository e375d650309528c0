import { formatDuration } from '../../domain/duration.ts';
import {
  type Contents,
  type DatabaseContents,
  type FilesContents,
  isFilesContents,
  type Manifest,
  type TableContents,
} from '../../domain/manifest.ts';
import { formatSize } from '../../domain/size.ts';
import type { Answer } from '../answer.ts';
import { plural } from '../../domain/plural.ts';
import { printable, tableLabel } from '../../domain/printable.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

/** `cofre show FILENAME`: the whole manifest. */
export async function show(session: Session, filename: string): Promise<Answer> {
  const catalogue = await session.openCatalogue();
  const manifest = await catalogue.read(filename);
  return { status: 0, json: manifest, text: describeManifest(manifest) };
}

/** A manifest for people: what is known of it, then what the archive holds. */
export function describeManifest(manifest: Manifest): string {
  const { verification, proof } = manifest;
  const facts: [string, string | undefined][] = [
    ['file', manifest.filepath],
    [
      'size',
      `${manifest.size_human}, ${formatSize(manifest.raw_size)} before compression (${manifest.compression})`,
    ],
    ['sha256', manifest.hash],
    ['taken', `${manifest.created_at} by job ${manifest.job}, ${manifest.trigger} (${manifest.actor})`],
    ['rebuilt', manifest.rebuilt && 'yes: this manifest was made from the archive alone'],
    ['duration', manifest.rebuilt ? undefined : formatDuration(manifest.duration_ms)],
    ['server', serverText(manifest)],
    ['tool', manifest.tool_version],
    ['roots', manifest.roots?.map(({ name, path }) => `${name} = ${path}`).join(', ')],
    ['names', manifest.roots === undefined ? manifest.directories?.map(printable).join(', ') : undefined],
    [
      'verified',
      `${verification.ok ? 'ok' : 'FAULT'} at ${verification.at} (${verification.level}): ${verification.detail}`,
    ],
    [
      'drilled',
      proof && `${proof.verdict} at ${proof.at} in ${formatDuration(proof.duration_ms)}: ${proof.detail}`,
    ],
    ['pinned', manifest.pinned ? 'yes' : undefined],
    ['anomaly', anomalyText(manifest)],
  ];
  const known = facts.filter(([, value]) => value !== undefined && value !== '');
  return `${known.map(([name, value]) => `${name.padEnd(9)} ${value}`).join('\n')}\n${describeContents(manifest.contents)}`;
}

const INDENT = ' '.repeat(10);

function anomalyText({ anomaly, filename }: Manifest): string | undefined {
  if (anomaly === undefined) return undefined;
  const { baseline, findings, acknowledged } = anomaly;
  const state =
    acknowledged === undefined
      ? `not acknowledged: \`cofre acknowledge ${filename}\` if this is meant`
      : `acknowledged at ${acknowledged.at} by ${acknowledged.actor}`;
  const lines = [`holds less than ${baseline}; ${state}`, ...findings.map(({ detail }) => detail)];
  return lines.join(`\n${INDENT}`);
}

/** Either may be unknown, of a manifest made anew. */
function serverText({ database, server_version: version }: Manifest): string | undefined {
  const server = version === undefined ? undefined : `PostgreSQL ${version}`;
  return database === undefined || server === undefined ? (server ?? database) : `${database} on ${server}`;
}

function describeContents(contents: Contents): string {
  return isFilesContents(contents) ? describeTree(contents) : describeTables(contents);
}

function describeTree({ entries, bytes, changed, incomplete }: FilesContents): string {
  return [
    `contents  ${plural(entries, 'entry')}, ${formatSize(bytes)} of data`,
    ...changed.map(({ path, reason }) => `changed   ${printable(path)}: ${reason}`),
    ...incomplete.map(({ path, reason }) => `MISSING   ${printable(path)}: ${reason}`),
  ].join('\n');
}

function describeTables({ tables }: DatabaseContents): string {
  if (tables.length === 0) return 'contents  no table data';
  const total = (of: (table: TableContents) => number) => tables.reduce((sum, table) => sum + of(table), 0);
  const rows = tables.map((table) => [tableLabel(table), String(table.rows), formatSize(table.bytes)]);
  const sum = `${plural(
    total(({ rows: count }) => count),
    'row',
  )}, ${formatSize(total(({ bytes }) => bytes))} of data`;
  return `contents  ${plural(tables.length, 'table')}, ${sum}\n\n${formatTable(['TABLE', 'ROWS', 'SIZE'], rows, ['ROWS', 'SIZE'])}`;
}
