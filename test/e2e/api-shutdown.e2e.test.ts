import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Manifest } from '../../src/domain/manifest.ts';
import type { RunView } from '../../src/domain/run-view.ts';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { openRuns } from '../support/aftermath.ts';
import { DrillBed, expectNothingLeft, running, whenAt } from '../support/drill-bed.ts';
import { waitFor } from '../support/wait-for.ts';
import { NEVER } from '../support/workspace.ts';

const TOKEN = 'the-token-of-the-administrator';
const TOKENS = [{ name: 'admin', token: TOKEN, scopes: ['read', 'operate', 'restore'] }];
const SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^cofre restore'";

let cluster: Cluster;
let bed: DrillBed;
let manifest: Manifest;

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.createDatabase('endless');
  // Its restore never ends, and nothing else takes long.
  await cluster.psql(
    'endless',
    `CREATE FUNCTION pace() RETURNS int LANGUAGE plpgsql AS $$
       BEGIN
         IF current_setting('cluster_name') = 'cofre drill' OR current_setting('application_name') ~ '^cofre restore'
         THEN PERFORM pg_sleep(1000); END IF;
         RETURN 1;
       END $$;
     CREATE MATERIALIZED VIEW slow AS SELECT pace();`,
  );
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

beforeEach(async () => {
  bed = new DrillBed();
  onTestFinished(() => bed[Symbol.dispose]());
  const sources = [{ type: 'postgres', name: 'endless', url: cluster.urlOf('endless') }];
  const http = {
    port: 0,
    tokens: TOKENS,
    restoreTargets: [{ name: 'staging', url: cluster.urlOf('postgres') }],
  };
  bed.configure({
    scratch: { directory: bed.scratch },
    jobs: { app: { schedule: NEVER, sources, compression: 'none' } },
    http,
  });
  const found = (await bed.backupAll()).get('endless');
  if (found === undefined) throw new Error('no backup');
  manifest = found;
});

test('SIGTERM cancels a restore that was asked for over HTTP: whoever waits is told, and nothing was changed', async () => {
  await using daemon = await bed.startDaemon();
  const { filename } = manifest;
  const waiting = daemon.call('POST', `/api/v1/backups/${filename}/restore?wait=true`, TOKEN, {
    confirm: filename,
    to: 'staging',
    as: 'restored',
    create: true,
  });
  await waitFor('the restore', async () => (await cluster.psql('postgres', SESSIONS)) !== '0');
  daemon.signal('SIGTERM');
  expect(await waiting).toMatchObject({ status: 503, body: { code: 'CANCELLED' } });
  expect(await daemon.exited).toEqual({ status: 0, signal: null });
  expect(bed.ended('@restore')).toMatchObject([
    { outcome: 'cancelled', trigger: 'api', actor: 'admin', filename, errors: [{ code: 'CANCELLED' }] },
  ]);
  expect(openRuns(bed.journal())).toEqual([]);
  expectNothingLeft(bed);
  await waitFor('its sessions to end', async () => (await cluster.psql('postgres', SESSIONS)) === '0');
  expect(await cluster.psql('postgres', "SELECT datname FROM pg_database WHERE datname ~ 'restored'")).toBe(
    '',
  );
});

test('SIGTERM cancels a drill that was asked for over HTTP, and leaves nothing of it', async () => {
  const before = bed.stateOf(manifest);
  await using daemon = await bed.startDaemon();
  const { status, body } = await daemon.call('POST', `/api/v1/backups/${manifest.filename}/drill`, TOKEN);
  expect(status).toBe(202);
  await whenAt(daemon.pid, running(/^postgres: cofre drill: .* REFRESH/));
  expect(await daemon.stop()).toEqual({ status: 0, signal: null });
  expect(bed.ended('@drill')).toMatchObject([
    {
      run: (body['run'] as RunView).run,
      outcome: 'cancelled',
      trigger: 'api',
      errors: [{ code: 'CANCELLED' }],
    },
  ]);
  expect(openRuns(bed.journal())).toEqual([]);
  expectNothingLeft(bed);
  expect(bed.stateOf(manifest)).toEqual(before);
});
