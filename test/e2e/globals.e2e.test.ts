import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { type BackupAnswer, type Json, NEVER, type VerifyAnswer, Workspace } from '../support/workspace.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.createDatabase('shop');
  await cluster.psql(
    'shop',
    `CREATE ROLE staff; CREATE ROLE alice LOGIN PASSWORD 's3cret' IN ROLE staff; CREATE ROLE reader LOGIN;
     CREATE TABLE things (id int); GRANT SELECT ON things TO reader;`,
  );
});
afterAll(async () => await cluster[Symbol.asyncDispose]());

function workspaceWith(user: string, globals: unknown, format = 'plain'): Workspace {
  const workspace = new Workspace({ DATABASE_URI: cluster.urlOf('shop', user) });
  const source = { type: 'postgres', name: 'app', url: { env: 'DATABASE_URI' }, format, globals };
  workspace.configure({ compression: 'zstd', jobs: { app: { schedule: NEVER, sources: [source] } } });
  return workspace;
}

async function findings(workspace: Workspace): Promise<Json[]> {
  return (await workspace.run(['check'])).json<{ findings: Json[] }>().findings;
}

describe('a source with `globals`', () => {
  test('has an archive of the roles beside its own, which restores them and verifies', async () => {
    using workspace = workspaceWith('reader', true, 'custom');
    expect((await findings(workspace)).filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(await findings(workspace)).toContainEqual(
      expect.objectContaining({ path: 'app.app_globals: app_globals', severity: 'info' }),
    );
    const finished = await workspace.run(['backup', 'app']);
    const [run] = finished.json<BackupAnswer>().runs;
    expect(run?.archives.map(({ source, format, database }) => [source, format, database])).toEqual([
      ['app', 'custom', 'shop'],
      ['app_globals', 'plain', 'shop'],
    ]);
    const globals = run?.archives[1];
    if (globals === undefined) throw new Error('no archive of the roles');
    expect(globals.filename).toMatch(/^db_backup_app_globals_\d{8}_\d{6}\.sql\.zst$/);
    expect(globals.contents).toMatchObject({ tables: [] });
    const sql = zstdDecompressSync(readFileSync(workspace.path(globals))).toString();
    expect(sql).not.toMatch(/SCRAM-SHA-256|PASSWORD/);
    const verified = await workspace.run(['verify', '--all']);
    expect(verified.json<VerifyAnswer>().results.map(({ valid }) => valid)).toEqual([true, true]);

    // By hand, on another server: what is there already is passed over.
    await using other = await startCluster();
    execFileSync(join(other.binDir, 'psql'), ['-X', '-q', '-d', other.url], { input: sql, stdio: 'pipe' });
    const roles = "SELECT string_agg(rolname, ',' ORDER BY 1) FROM pg_roles WHERE rolname !~ '^pg_'";
    expect(await other.psql('postgres', roles)).toBe('alice,postgres,reader,staff');
    expect(await other.psql('postgres', "SELECT pg_has_role('alice', 'staff', 'member')")).toBe('t');
  });

  test('and with `passwords` needs a superuser: told by check, and the database is archived all the same', async () => {
    using workspace = workspaceWith('reader', { passwords: true });
    const checked = await workspace.run(['check']);
    expect(checked.status).toBe(1);
    expect((await findings(workspace)).filter(({ severity }) => severity === 'error')).toEqual([
      expect.objectContaining({ code: 'UNREADABLE', path: 'app.app_globals: pg_catalog.pg_authid' }),
    ]);
    const finished = await workspace.run(['backup', 'app']);
    expect(finished.status).toBe(1);
    expect(finished.json<BackupAnswer>().runs).toMatchObject([
      {
        outcome: 'failed',
        archives: [{ source: 'app' }],
        errors: [{ source: 'app_globals', code: 'UNREADABLE', hint: expect.stringContaining('superuser') }],
      },
    ]);
    expect(workspace.remains()).toEqual([]);
  });

  test('and with `passwords` as a superuser has the hashes', async () => {
    using workspace = workspaceWith('postgres', { passwords: true });
    const [run] = (await workspace.run(['backup', 'app'])).json<BackupAnswer>().runs;
    const globals = run?.archives.find(({ source }) => source === 'app_globals');
    if (globals === undefined) throw new Error('no archive of the roles');
    const sql = zstdDecompressSync(readFileSync(workspace.path(globals))).toString();
    expect(sql).toMatch(/^ALTER ROLE alice .* PASSWORD 'SCRAM-SHA-256\$/m);
    expect(readFileSync(workspace.manifestPath(globals.filename), 'utf8')).not.toMatch(/SCRAM|s3cret/);
  });

  test('and without them has the database alone', async () => {
    using workspace = workspaceWith('reader', false);
    const [run] = (await workspace.run(['backup', 'app'])).json<BackupAnswer>().runs;
    expect(run?.archives.map(({ source }) => source)).toEqual(['app']);
  });
});
