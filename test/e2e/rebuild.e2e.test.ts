import { cpSync, existsSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Manifest } from '../../src/domain/manifest.ts';
import { rebuildCatalogue, type RebuildRequest } from '../../src/engine/rebuild.ts';
import { expectListedVerify, expectOrderAfterStart, openApp } from '../support/aftermath.ts';
import { ROOT } from '../support/cofre.ts';
import { type TestServer, usingCluster } from '../support/postgres.ts';
import { type BackupAnswer, NEVER, type VerifyAnswer, Workspace } from '../support/workspace.ts';

const KILL_AT = join(ROOT, 'test/support/kill-at.ts');
/** More changes than a rebuild of this location makes. */
const STEPS_MAX = 100;
/** Killed side by side, each on a location of its own. */
const LANES = 3;
const REQUEST: RebuildRequest = {
  trigger: 'cli',
  actor: 'test',
  jobOf: () => 'app',
  progress: { begin: () => undefined, advance: () => undefined },
};
/** Of a manifest, what its archive and its name do not tell. */
const LOST = [
  'run',
  'started_at',
  'duration_ms',
  'verification',
  'system_identifier',
  'database',
  'locale',
  'roots',
];

interface RebuildAnswer {
  rebuilt: string[];
  faults: { filename: string; detail: string }[];
  count: number;
}

let server: TestServer;
/** One backup each of a database in both formats, of its roles, and of files. */
let template: Workspace;
let manifests: Manifest[];

beforeAll(async () => {
  server = await usingCluster();
  template = new Workspace({ DATABASE_URI: await server.createDatabase('rebuild_e2e') });
  await server.psql(
    'rebuild_e2e',
    `CREATE TABLE "My ""table""" (id int, note text);
     INSERT INTO "My ""table""" SELECT n, repeat('x', n % 50) FROM generate_series(1, 5000) n;
     CREATE TABLE empty (id int);`,
  );
  configure(template);
  const finished = await template.run(['backup']);
  manifests = finished.json<BackupAnswer>().runs.flatMap(({ archives }) => archives);
  if (manifests.length !== 4) throw new Error(finished.stdout + finished.stderr);
});

afterAll(async () => {
  template[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

function configure(workspace: Workspace): void {
  const database = { type: 'postgres', url: { env: 'DATABASE_URI' } };
  workspace.configure({
    compression: 'zstd',
    jobs: {
      app: {
        schedule: NEVER,
        sources: [
          { ...database, name: 'plain', globals: true },
          { ...database, name: 'custom', format: 'custom' },
          {
            type: 'files',
            name: 'tree',
            directories: [template.tree, { path: template.tree, as: 'second' }],
          },
        ],
      },
    },
  });
}

/** The archives, and nothing else of the location. */
function archivesAlone(): Workspace {
  const workspace = new Workspace(template.env);
  configure(workspace);
  for (const type of ['database', 'files']) {
    cpSync(join(template.location, type), join(workspace.location, type), { recursive: true });
  }
  return workspace;
}

function filenames(): string[] {
  return manifests.map(({ filename }) => filename).toSorted();
}

async function rebuild(workspace: Workspace): Promise<RebuildAnswer & { status: number | null }> {
  const finished = await workspace.run(['catalogue', 'rebuild']);
  return { status: finished.status, ...finished.json<RebuildAnswer>() };
}

async function show(workspace: Workspace, filename: string): Promise<Manifest> {
  return (await workspace.run(['show', filename])).json<Manifest>();
}

function without(manifest: Manifest, fields: readonly string[]): object {
  return Object.fromEntries(Object.entries(manifest).filter(([field]) => !fields.includes(field)));
}

describe('a machine with nothing but the archives', () => {
  let workspace: Workspace;

  beforeAll(() => {
    workspace = archivesAlone();
  });
  afterAll(() => workspace[Symbol.dispose]());

  test('gets its manifests back', async () => {
    const { status, rebuilt, faults, count } = await rebuild(workspace);
    expect({ status, faults, count }).toEqual({ status: 0, faults: [], count: 4 });
    expect(rebuilt.toSorted()).toEqual(filenames());
  });

  test('which say of each archive what its own said, as far as the archive knows', async () => {
    for (const before of manifests) {
      const after = await show(workspace, before.filename);
      // Nothing in a dump of roles names the version that wrote it.
      const lost = before.source === 'plain_globals' ? [...LOST, 'server_version', 'tool_version'] : LOST;
      expect(without(after, LOST)).toEqual({
        ...without(before, lost),
        filepath: workspace.path(before),
        rebuilt: true,
      });
      expect(after).toMatchObject({
        started_at: before.created_at,
        duration_ms: 0,
        verification: { level: 'contents', ok: true },
      });
    }
    const tree = manifests.find(({ source }) => source === 'tree');
    expect(await show(workspace, tree?.filename ?? '')).toMatchObject({ directories: ['tree', 'second'] });
  });

  test('and its index; every archive verifies, none is missed, and nothing is left to do', async () => {
    const index = JSON.parse(
      readFileSync(join(workspace.location, 'backups_metadata.json'), 'utf8'),
    ) as unknown;
    expect(index).toEqual(await workspace.list());
    const verified = await workspace.run(['verify', '--all']);
    expect(verified.json<VerifyAnswer>().results.map(({ valid, detail }) => ({ valid, detail }))).toEqual(
      manifests.map(() => ({ valid: true, detail: expect.stringMatching(/, as (dumped|written)$/) })),
    );
    expect(verified.status).toBe(0);
    expect(workspace.ended('@rebuild')).toMatchObject([
      { outcome: 'succeeded', archives: expect.any(Array) },
    ]);
    const stored = workspace.stored();
    expect(await rebuild(workspace)).toEqual({ status: 0, rebuilt: [], faults: [], count: 0 });
    expect(workspace.stored()).toEqual(stored);
    expect(workspace.ended('@rebuild')).toHaveLength(1);
  });

  test('goes on with its backups, and misses one that is lost', async () => {
    const finished = await workspace.run(['backup', 'app']);
    expect(finished.json()).toMatchObject({ success: true });
    expect(await workspace.list()).toHaveLength(8);
    const [first] = manifests;
    if (first === undefined) throw new Error('no archive');
    rmSync(workspace.path(first));
    rmSync(workspace.manifestPath(first.filename));
    const checked = await workspace.run(['verify', '--all', '--level', 'checksum']);
    expect(checked.json<VerifyAnswer>().results.filter(({ valid }) => !valid)).toMatchObject([
      { filename: first.filename, detail: expect.stringContaining('the journal records it') },
    ]);
  });
});

test('with the journal still there, the manifests have their runs again', async () => {
  using workspace = archivesAlone();
  cpSync(join(template.location, 'journal.jsonl'), join(workspace.location, 'journal.jsonl'));
  expect(await rebuild(workspace)).toMatchObject({ status: 0, count: 4 });
  for (const { filename, run, job, trigger, actor } of manifests) {
    expect(await show(workspace, filename)).toMatchObject({ run, job, trigger, actor });
  }
  expect(workspace.ended('@rebuild')).toEqual([]);
});

test('what is damaged, partial, rejected or under deletion is no backup afterwards', async () => {
  using workspace = archivesAlone();
  expect(await rebuild(workspace)).toMatchObject({ status: 0, count: 4 });
  const [plain, globals, custom, tree] = manifests;
  if (plain === undefined || globals === undefined || custom === undefined || tree === undefined) {
    throw new Error('no archive');
  }
  // Under deletion when the process died, and so is its archive.
  renameSync(workspace.manifestPath(tree.filename), `${workspace.manifestPath(tree.filename)}.deleting`);
  for (const each of [plain, globals, custom]) rmSync(workspace.manifestPath(each.filename));
  truncateSync(workspace.path(plain), plain.size - 10);
  truncateSync(workspace.path(custom), Math.floor(custom.size / 2));
  const hidden = ['partial', 'failed'].map((state) => `.db_backup_x_20260101_000000.sql.zst.${state}`);
  for (const name of hidden) cpSync(workspace.path(globals), join(workspace.location, 'database', name));
  writeFileSync(join(workspace.location, 'database', 'notes.txt'), 'not an archive');

  const { status, rebuilt, faults } = await rebuild(workspace);
  expect(status).toBe(1);
  expect(rebuilt).toEqual([globals.filename]);
  expect(faults.map(({ filename }) => filename).toSorted()).toEqual(
    [plain.filename, custom.filename].toSorted(),
  );
  for (const { detail } of faults) expect(detail).toMatch(/^no manifest was made: /);
  expect((await workspace.list()).map(({ filename }) => filename)).toEqual([globals.filename]);
  for (const name of hidden) expect(existsSync(join(workspace.location, 'database', name))).toBe(true);
  expect(workspace.stored()).toContain(`manifests/${tree.filename}.json.deleting`);
});

test('kill -9 at every step: what is listed verifies, and the next rebuild goes on', async () => {
  const [plain, , , tree] = manifests;
  const kept = new Set([plain?.filename, tree?.filename]);
  let next = 1;
  let last = STEPS_MAX;
  const lane = async () => {
    for (let step = next; step <= last; step = next) {
      next += 1;
      using workspace = archivesAlone();
      for (const each of manifests) if (!kept.has(each.filename)) rmSync(workspace.path(each));
      const finished = await workspace.run(['catalogue', 'rebuild'], {
        nodeArgs: ['--import', KILL_AT],
        env: { COFRE_TEST_KILL_AT: String(step) },
      });
      if (finished.status === 0) last = Math.min(last, step - 1);
      expect({ step, ...finished }).toMatchObject(step > last ? { status: 0 } : { signal: 'SIGKILL' });
      const { context, ...app } = await openApp(workspace);
      await expectListedVerify({ context, ...app });
      const { faults } = await rebuildCatalogue(context, REQUEST, new AbortController().signal);
      expect(faults).toEqual([]);
      expect(new Set(context.catalogue.list().map(({ filename }) => filename))).toEqual(kept);
      // Each is told to the journal once, by whichever rebuild.
      const archives = workspace.ended('@rebuild').flatMap((entry) => entry.archives);
      expect(archives).toHaveLength(kept.size);
      expect(new Set(archives)).toEqual(kept);
      await expectOrderAfterStart(workspace, { context, ...app });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  expect(last).toBeGreaterThan(15);
  expect(last).toBeLessThan(STEPS_MAX);
});
