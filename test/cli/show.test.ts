import { expect, test } from 'vitest';
import { describeManifest } from '../../src/cli/commands/show.ts';
import type { Manifest } from '../../src/domain/manifest.ts';
import { manifestOf } from '../support/stock.ts';
import { openTestLocation } from '../support/test-location.ts';

async function shown(filename: string, facts: Partial<Manifest>): Promise<string[]> {
  const { location } = await openTestLocation();
  return describeManifest(manifestOf(location, filename, facts)).split('\n');
}

const DUMP = 'db_backup_app_20261118_020000.sql.gz';
const FILES = 'files_backup_tree_20261118_020000.tar';

test('a dump shows its tables with rows and sizes, and their sum', async () => {
  const table = (name: string, rows: number, bytes: number) => ({
    schema: 'public',
    name,
    rows,
    bytes,
    sha256: '0'.repeat(64),
  });
  const lines = await shown(DUMP, {
    database: 'shop',
    server_version: '15.18',
    contents: {
      tables: [table('orders', 20_000, 2048), table('odd\nname', 5, 24)],
      schema_sha256: '0'.repeat(64),
    },
  });
  expect(lines).toContain('server    shop on PostgreSQL 15.18');
  expect(lines.slice(-5)).toEqual([
    'contents  2 tables, 20005 rows, 2.02 KB of data',
    '',
    'TABLE                 ROWS     SIZE',
    'public.orders        20000  2.00 KB',
    'public.odd\\u{a}name      5     24 B',
  ]);
  expect((await shown(DUMP, { contents: { tables: [], schema_sha256: '0'.repeat(64) } })).at(-1)).toBe(
    'contents  no table data',
  );
});

test('files show the totals of the tree, and what is not whole', async () => {
  const contents = {
    entries: 17,
    bytes: 3072,
    digest: '0'.repeat(64),
    changed: [{ path: 'tree/log', reason: 'grew' }],
    incomplete: [{ path: 'tree/\x1b[2J', reason: 'unreadable' }],
  };
  const roots = [{ name: 'tree', path: '/srv/tree' }];
  const lines = await shown(FILES, { contents, roots, directories: ['tree'], incomplete: true });
  expect(lines).toContain('roots     tree = /srv/tree');
  expect(lines.slice(-3)).toEqual([
    'contents  17 entries, 3.00 KB of data',
    'changed   tree/log: grew',
    'MISSING   tree/\\u{1b}[2J: unreadable',
  ]);
});

test('one that was rebuilt says so, and nothing that nobody knows', async () => {
  const lines = await shown(DUMP, { rebuilt: true, duration_ms: 0, server_version: '15.18' });
  expect(lines).toContain('rebuilt   yes: this manifest was made from the archive alone');
  expect(lines).toContain('server    PostgreSQL 15.18');
  expect(lines.join('\n')).not.toMatch(/undefined|^duration/m);
  const contents = { entries: 1, bytes: 0, digest: '0'.repeat(64), changed: [], incomplete: [] };
  expect(await shown(FILES, { rebuilt: true, directories: ['a', 'b'], contents })).toContain(
    'names     a, b',
  );
});

test('the latest drill is told with its verdict and the time it took', async () => {
  const proof = {
    verdict: 'proven' as const,
    at: '2026-11-20T00:00:00.000Z',
    duration_ms: 1_400,
    detail: '3 tables',
    versions: {},
  };
  expect(await shown(DUMP, { proof })).toContain(
    'drilled   proven at 2026-11-20T00:00:00.000Z in 1.4 s: 3 tables',
  );
});
