import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { judgeManifest } from '../../src/catalogue/manifest-schema.ts';
import { isManifest } from '../../src/catalogue/manifest-shape.ts';
import type { Manifest } from '../../src/domain/manifest.ts';

const SHA256 = 'a'.repeat(64);
const AT = '2026-11-20T12:00:15.000Z';

const COMMON = {
  version: 1,
  filepath: '/srv/backups/x',
  size: 1,
  size_human: '1 B',
  hash: SHA256,
  compressed: true,
  encrypted: false,
  timestamp: '20261120_120015',
  created_at: AT,
  job: 'app',
  run: '20261120_120015-abcdef',
  trigger: 'schedule',
  actor: 'daemon',
  compression: 'gzip',
  started_at: AT,
  duration_ms: 7,
  raw_size: 2,
  pinned: false,
  incomplete: false,
  verification: { level: 'contents', ok: true, at: AT, detail: 'as written' },
} as const;

/** With every field that there can be. */
const WHOLE: readonly Manifest[] = [
  {
    ...COMMON,
    type: 'database',
    filename: 'db_backup_app_20261120_120015.sql.gz',
    source: 'app',
    format: 'plain',
    system_identifier: '7',
    database: 'app',
    server_version: '15.18',
    tool_version: '15.18',
    locale: {
      encoding: 'UTF8',
      collate: 'C',
      ctype: 'C',
      provider: 'icu',
      provider_locale: 'pt',
      monetary: 'C',
    },
    rebuilt: true,
    contents: {
      tables: [{ schema: 'public', name: 'orders', rows: 3, bytes: 60, sha256: SHA256 }],
      schema_sha256: SHA256,
    },
    proof: { verdict: 'proven', at: AT, duration_ms: 3, detail: 'the same', versions: { cofre: '0.3.0' } },
    anomaly: {
      baseline: 'x',
      findings: [{ kind: 'empty', detail: 'nothing is left' }],
      acknowledged: { at: AT, actor: 'cli:alice' },
    },
  },
  {
    ...COMMON,
    type: 'files',
    filename: 'files_backup_uploads_20261120_120015.tar.gz',
    source: 'uploads',
    format: 'tar',
    directories: ['uploads'],
    roots: [{ name: 'uploads', path: '/srv/uploads' }],
    contents: {
      entries: 2,
      bytes: 7,
      digest: SHA256,
      changed: [{ path: 'a', reason: 'grew' }],
      incomplete: [{ path: 'b', reason: 'EACCES' }],
    },
  },
];

/** Where something stands in a JSON value, the value itself left out. */
function placesOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    [key],
    ...placesOf(inner).map((path) => [key, ...path]),
  ]);
}

/** A copy in which one place holds something else, or is gone. */
function altered(whole: Manifest, [first = '', ...rest]: readonly string[], value: unknown): unknown {
  const copy = structuredClone(whole) as unknown as Record<string, unknown>;
  let holder = copy;
  let key = first;
  for (const next of rest) {
    holder = holder[key] as Record<string, unknown>;
    key = next;
  }
  if (value === undefined) Reflect.deleteProperty(holder, key);
  else holder[key] = value;
  // As a file would hold it: what an array lacks is null there.
  return JSON.parse(JSON.stringify(copy));
}

test.each(WHOLE)('a manifest with every field, of $type, is taken at the first look', (whole) => {
  expect(isManifest(whole)).toBe(true);
  expect(judgeManifest(whole)).toEqual({ ok: true, manifest: whole });
});

test('what the first look takes the schema takes as well, whatever is altered', () => {
  const somewhere = fc
    .constantFrom(...WHOLE)
    .chain((whole) => fc.tuple(fc.constant(whole), fc.constantFrom(...placesOf(whole))));
  const something = fc.oneof(
    fc.constantFrom(undefined, null, true, false, 0, -1, 1.5, 2 ** 53, '', 'x', [], {}, [null], [{}]),
    fc.constantFrom(
      AT,
      '2026-02-29T12:00:15.000Z',
      '2026-11-20T24:00:00.000Z',
      '2026-11-20T12:00:15Z',
      SHA256,
    ),
    fc
      .date({ noInvalidDate: false })
      .map((date) => (Number.isNaN(date.getTime()) ? 'x' : date.toISOString())),
    fc.jsonValue(),
  );
  const found = fc.check(
    fc.property(somewhere, something, ([whole, path], value) => {
      const json = altered(whole, path, value);
      return !isManifest(json) || judgeManifest(json).ok;
    }),
    { numRuns: 20_000 },
  );
  expect(found.counterexample).toBeNull();
});

test.each(WHOLE.flatMap((whole) => placesOf(whole).map((path) => ({ whole, path }))))(
  'a manifest of $whole.type without $path, or with null there, is taken only where the schema takes it',
  ({ whole, path }) => {
    for (const value of [undefined, null]) {
      const json = altered(whole, path, value);
      expect(isManifest(json)).toBe(judgeManifest(json).ok);
    }
  },
);
