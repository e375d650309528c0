import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Manifest, Verdict } from '../../src/domain/manifest.ts';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { openRuns } from '../support/aftermath.ts';
import { DrillBed, expectNothingLeft, running, whenAt } from '../support/drill-bed.ts';
import type { ProcessEntry } from '../support/processes.ts';
import { smallDisk } from '../support/small-disk.ts';
import { waitFor } from '../support/wait-for.ts';
import type { ErrorAnswer, Json } from '../support/workspace.ts';

const ROWS = 60_000;
/** Of a few bytes each: on disk a row takes many times what it takes in the archive. */
const NARROW_ROWS = 1_500_000;
/** Room for an empty cluster and the archive, not for what it becomes. */
const SMALL_DISK_BYTES = 88 * 1024 * 1024;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
  for (const name of ['endless', 'big', 'narrow', 'small']) await cluster.createDatabase(name);
  // Its restore into a throwaway cluster never ends, and nothing else takes long.
  await cluster.psql(
    'endless',
    `CREATE FUNCTION pace() RETURNS int LANGUAGE plpgsql AS $$
       BEGIN
         IF current_setting('cluster_name') = 'cofre drill' THEN PERFORM pg_sleep(1000); END IF;
         RETURN 1;
       END $$;
     CREATE MATERIALIZED VIEW slow AS SELECT pace();`,
  );
  await cluster.psql(
    'big',
    `CREATE TABLE wide AS SELECT n AS id, repeat(md5(n::text), 20) AS noise FROM generate_series(1, ${ROWS}) n`,
  );
  await cluster.psql(
    'narrow',
    `CREATE TABLE narrow AS SELECT n AS id FROM generate_series(1, ${NARROW_ROWS}) n`,
  );
  await cluster.psql('small', 'CREATE TABLE notes (id int); INSERT INTO notes VALUES (1), (2);');
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** A bed with one backup of a database. */
async function backedUp(
  database: string,
  { format = 'plain', scratch }: { format?: string; scratch?: string } = {},
): Promise<{ bed: DrillBed; manifest: Manifest; configure: (rest: Json) => void }> {
  const bed = new DrillBed(scratch);
  onTestFinished(() => bed[Symbol.dispose]());
  const source = { type: 'postgres', name: database, url: cluster.urlOf(database), format };
  const configure = (rest: Json) => bed.configureJob([source], rest);
  configure({});
  const manifest = (await bed.backupAll()).get(database);
  if (manifest === undefined) throw new Error('no backup');
  return { bed, manifest, configure };
}

/** The restore is under way, and waits. */
const WAITING = running(/^postgres: cofre drill: .* REFRESH/);

interface DrillAnswer {
  results: { verdict: Verdict; detail: string }[];
}

describe('a shutdown in the middle of a drill', () => {
  test('SIGTERM of the daemon: exit 0, cancelled, nothing left; made up for after the restart', async () => {
    const { bed, manifest, configure } = await backedUp('endless');
    const before = bed.stateOf(manifest);
    const schedule = bed.dueIn(1, '@drill.app');
    configure({ drill: { schedule } });
    {
      await using daemon = await bed.startDaemon();
      await whenAt(daemon.pid, WAITING);
      expect(await daemon.stop()).toEqual({ status: 0, signal: null });
    }
    expectNothingLeft(bed);
    expect(bed.stateOf(manifest)).toEqual(before);
    expect(openRuns(bed.journal())).toEqual([]);
    const [cancelled] = bed.ended('@drill.app');
    expect(cancelled).toMatchObject({ outcome: 'cancelled', errors: [{ code: 'CANCELLED' }] });
    await using daemon = await bed.startDaemon();
    await whenAt(daemon.pid, WAITING);
    const again = bed.journal().findLast(({ event }) => event === 'started');
    expect(again).toMatchObject({ job: '@drill.app', due: cancelled?.due });
    // Not waited for: what it has started ends with it, before its directory is removed.
    await daemon.stop('SIGKILL');
    await bed.waitForNoProcess();
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s of a command: exit 1, CANCELLED, nothing left',
    async (signal) => {
      const { bed, manifest } = await backedUp('endless');
      const before = bed.stateOf(manifest);
      const ended = await bed.runUntil(['drill', manifest.filename], WAITING, (pid) => {
        process.kill(pid, signal);
      });
      expect({ status: ended.status, signal: ended.signal }).toEqual({ status: 1, signal: null });
      expect(ended.json<ErrorAnswer>().error.code).toBe('CANCELLED');
      expectNothingLeft(bed);
      expect(bed.stateOf(manifest)).toEqual(before);
      expect(bed.ended('@drill')).toMatchObject([{ outcome: 'cancelled', errors: [{ code: 'CANCELLED' }] }]);
    },
  );

  test('a drill that takes longer than its timeout failed, is not made up for, and leaves nothing', async () => {
    const { bed, manifest, configure } = await backedUp('endless');
    const before = bed.stateOf(manifest);
    const schedule = bed.dueIn(1, '@drill.app');
    configure({ timeout: '4s', drill: { schedule } });
    await using daemon = await bed.startDaemon();
    const ended = await waitFor('the end of the drill', () => bed.ended('@drill.app')[0]);
    expect(ended).toMatchObject({ outcome: 'failed', errors: [{ code: 'TIMEOUT' }] });
    expect(bed.stateOf(manifest)).toEqual(before);
    expectNothingLeft(bed);
    expect(await daemon.stop()).toEqual({ status: 0, signal: null });
    await using next = await bed.startDaemon();
    expect((await next.health()).body.problems).toEqual([]);
    expect(await next.stop()).toEqual({ status: 0, signal: null });
    expect(bed.ended('@drill.app')).toHaveLength(1);
  });
});

function kill(pattern: RegExp): (pid: number, children: readonly ProcessEntry[]) => void {
  return (_pid, children) => {
    const { pid } = children.find(({ command }) => pattern.test(command)) ?? {};
    if (pid === undefined) throw new Error('there is nothing to kill');
    process.kill(pid, 'SIGKILL');
  };
}

const SERVER = /^\S*\/postgres -D/;
const BACKEND = /^postgres: cofre drill: .* REFRESH/;
const PG_RESTORE = /^\S*pg_restore --exit-on-error/;
const COMPARING = /pg_dump --dbname/;

describe('what something else ends in the middle of a drill', () => {
  test.each([
    ['the server while psql restores', 'endless', 'plain', WAITING, SERVER, /server/],
    ['the server while pg_restore restores', 'endless', 'custom', WAITING, SERVER, /server/],
    ['a backend of psql', 'endless', 'plain', WAITING, BACKEND, /server/],
    ['a backend of pg_restore', 'endless', 'custom', WAITING, BACKEND, /server/],
    ['psql', 'endless', 'plain', WAITING, /^\S*psql -X/, /psql was killed by SIGKILL/],
    ['pg_restore', 'endless', 'custom', WAITING, PG_RESTORE, /pg_restore (?:was killed by SIGKILL|stopped)/],
    ['pg_dump', 'big', 'plain', running(COMPARING), COMPARING, /pg_dump was killed by SIGKILL/],
    ['the server while it is dumped', 'big', 'plain', running(COMPARING), SERVER, /server/],
    // Not while it is still the program that becomes it.
    ['initdb', 'small', 'plain', running(/^\S*initdb --pgdata/), /^\S*initdb --pgdata/, /initdb/],
  ])('%s: the archive is neither proven nor failed, and the verdict says why', async (...row) => {
    const [, database, format, moment, victim, words] = row;
    const { bed, manifest } = await backedUp(database, { format });
    const ended = await bed.runUntil(['drill', manifest.filename], moment, kill(victim));
    expect(ended.json<DrillAnswer>().results).toMatchObject([
      { verdict: 'not provable here', detail: expect.stringMatching(words) },
    ]);
    expect(ended.status).toBe(3);
    expect(bed.manifestOf(manifest.filename).proof?.verdict).toBe('not provable here');
    expectNothingLeft(bed);
    expect(openRuns(bed.journal())).toEqual([]);
  });
});

test('a scratch directory that fills up: not provable here, naming the space', async (context) => {
  const parent = mkdtempSync('/tmp/cofre-e2e-small-');
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
  chmodSync(parent, 0o755);
  const disk = smallDisk(join(parent, 'disk'), SMALL_DISK_BYTES, true);
  onTestFinished(() => disk[Symbol.dispose]());
  context.skip(disk.kind !== 'tmpfs', 'nothing can be mounted here');
  const { bed, manifest } = await backedUp('narrow', { scratch: disk.path });
  const { results } = (await bed.run(['drill', manifest.filename])).json<DrillAnswer>();
  expect(results).toMatchObject([
    {
      verdict: 'not provable here',
      detail: expect.stringMatching(/this server lacks free space on its disk/),
    },
  ]);
  expectNothingLeft(bed);
  disk.fill();
  const again = (await bed.run(['drill', manifest.filename])).json<DrillAnswer>();
  expect(again.results).toMatchObject([
    { verdict: 'not provable here', detail: expect.stringMatching(/free in .*the drill needs about/) },
  ]);
});
