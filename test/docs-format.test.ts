import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { parseManifest } from '../src/catalogue/manifest-file.ts';
import {
  drillTaskOf,
  parseJournalLine,
  type JobSeen,
  type RunEnded,
  type RunStarted,
  TASKS,
} from '../src/domain/journal-entry.ts';
import type { DatabaseContents, FilesContents, Manifest } from '../src/domain/manifest.ts';
import { PlainDumpInspector } from '../src/inspect/plain-dump.ts';
import { codeBlocks, codeSpans, readPage, section, tableRows } from './support/markdown.ts';

const page = readPage('docs/format.md');
const manifests = section(page, '## Manifests');
const journal = section(page, '## Journal');

// The compiler holds these against the types: a field more or less does not pass the type check.
const MANIFEST_FIELDS: Record<keyof Manifest, true> = {
  version: true,
  type: true,
  filename: true,
  filepath: true,
  size: true,
  size_human: true,
  hash: true,
  compressed: true,
  encrypted: true,
  timestamp: true,
  created_at: true,
  directories: true,
  roots: true,
  job: true,
  source: true,
  run: true,
  trigger: true,
  actor: true,
  compression: true,
  format: true,
  started_at: true,
  duration_ms: true,
  raw_size: true,
  system_identifier: true,
  database: true,
  server_version: true,
  tool_version: true,
  locale: true,
  rebuilt: true,
  pinned: true,
  incomplete: true,
  contents: true,
  verification: true,
  proof: true,
  anomaly: true,
};
const CONTENTS_FIELDS: Record<keyof DatabaseContents | keyof FilesContents, true> = {
  tables: true,
  schema_sha256: true,
  entries: true,
  bytes: true,
  digest: true,
  changed: true,
  incomplete: true,
};
const JOURNAL_FIELDS: Record<keyof JobSeen | keyof RunStarted | keyof RunEnded, true> = {
  event: true,
  at: true,
  job: true,
  schedule: true,
  timezone: true,
  run: true,
  trigger: true,
  actor: true,
  due: true,
  sources: true,
  filename: true,
  target: true,
  outcome: true,
  duration_ms: true,
  archives: true,
  errors: true,
  missed: true,
  removed: true,
  drills: true,
  anomalies: true,
};

/** The first column of the tables in a text. */
function fieldsIn(text: string): string[] {
  return tableRows(text).flatMap(([first = '']) => codeSpans(first));
}

test('describes every field of a manifest, and no other', () => {
  const [fields = '', contents = ''] = manifests.split('`contents` of a database:');
  expect(fieldsIn(fields).toSorted()).toEqual(Object.keys(MANIFEST_FIELDS).toSorted());
  const [ofContents = ''] = contents.split('A manifest as it is');
  const documented = fieldsIn(ofContents).filter((field) => !field.includes('[]'));
  expect(documented.toSorted()).toEqual(Object.keys(CONTENTS_FIELDS).toSorted());
});

test('shows a manifest that cofre accepts', () => {
  const [example = ''] = codeBlocks(manifests, 'json');
  const { filename } = JSON.parse(example) as { filename: string };
  const manifest = parseManifest(example, filename, '/srv/cofre/backups');
  expect(JSON.parse(example)).toEqual(manifest);
});

test('describes every field of the journal, and no other', () => {
  expect(fieldsIn(journal).toSorted()).toEqual(Object.keys(JOURNAL_FIELDS).toSorted());
});

test('names every task that can stand for a job', () => {
  const [, , meaning = ''] = tableRows(journal).find(([field]) => field === '`job`') ?? [];
  expect(codeSpans(meaning)).toEqual([...TASKS, drillTaskOf('<job>')]);
});

test('shows lines of a journal that cofre reads', () => {
  const [example = ''] = codeBlocks(journal, 'json');
  const lines = example.trim().split('\n');
  expect(lines.length).toBeGreaterThan(2);
  for (const line of lines) {
    const entry = parseJournalLine(line);
    expect(Object.keys(entry ?? {}).filter((field) => !(field in JOURNAL_FIELDS))).toEqual([]);
    expect({ line, isRead: entry !== undefined }).toEqual({ line, isRead: true });
  }
});

describe('the recipes compute what cofre records', () => {
  const dump = [
    '--',
    '-- PostgreSQL database dump',
    '--',
    '',
    '\\restrict Xa7',
    '',
    '-- Dumped from database version 15.18',
    '-- Dumped by pg_dump version 15.18',
    '',
    "SET client_encoding = 'UTF8';",
    '',
    "CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $$ SELECT '",
    'COPY public.orders (id) FROM stdin;',
    "'::text $$;",
    '',
    ...copyBlock('public.empty', ' ', []),
    ...copyBlock('public.orders', ' (id, note)', ['1\tan \\\\. in the middle', '2\t\\N', '3\tçà']),
    ...copyBlock('"Odd Schema"."My ""table"""', ' (v)', ['1']),
    '--',
    '-- PostgreSQL database dump complete',
    '--',
    '',
    '\\unrestrict Xa7',
    '',
    '',
  ].join('\n');

  function copyBlock(table: string, columns: string, rows: string[]): string[] {
    const comment = ['--', `-- Data for Name: t; Type: TABLE DATA; Schema: s; Owner: postgres`, '--', ''];
    return [...comment, `COPY ${table}${columns} FROM stdin;`, ...rows, '\\.', '', ''];
  }

  /** The recipe below a heading, with the dump on stdin in place of a file. */
  function compute(heading: string, change: (script: string) => string = (script) => script): string {
    const [recipe = ''] = codeBlocks(section(page, heading), 'sh');
    const script = change(recipe).replace(/zcat \S+/, 'cat');
    return execFileSync('sh', ['-c', script], { input: dump, encoding: 'utf8' }).split(' ')[0] ?? '';
  }

  async function recorded(): Promise<DatabaseContents> {
    const inspector = new PlainDumpInspector();
    inspector.write(Buffer.from(dump));
    return await inspector.end();
  }

  test.each([
    ['public.empty', 0],
    ['public.orders', 1],
    ['"Odd Schema"."My ""table"""', 2],
  ])('of the table %s', async (table, position) => {
    const { tables } = await recorded();
    expect(tables).toHaveLength(3);
    const digest = compute('### A table', (script) => script.replace("'public.orders'", `'${table}'`));
    expect(digest).toBe(tables[position]?.sha256);
  });

  test('of the schema', async () => {
    expect(compute('### The schema')).toBe((await recorded()).schema_sha256);
  });
});
