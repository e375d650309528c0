import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { withoutPrivileges } from '../support/privileges.ts';
import { descendantsOf, type ProcessEntry } from '../support/processes.ts';
import { refused, RestoreBed } from '../support/restore-bed.ts';
import { smallDisk } from '../support/small-disk.ts';
import { waitFor } from '../support/wait-for.ts';

const DATABASES = 'SELECT datname FROM pg_database ORDER BY 1';
const SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
const PASSWORD = 'q7"x-s3cret';

let source: Cluster;
/** Everybody but the superuser needs a password. */
let target: Cluster;
/** Whose restores pause for a while in the middle. */
let bed: RestoreBed;

beforeAll(async () => {
  [source, target] = await Promise.all([startCluster(), startCluster({ listenPort: 0, auth: 'scram' })]);
  await source.createDatabase('slow');
  await source.psql(
    'slow',
    `CREATE FUNCTION pauses(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$
       BEGIN
         IF current_setting('application_name') ~ '^cofre restore' THEN PERFORM pg_sleep(1.5); END IF;
         RETURN true;
       END $$;
     CREATE TABLE held (id int CHECK (public.pauses(id)));
     INSERT INTO held VALUES (1);
     -- More than the pipes between us and psql hold.
     CREATE TABLE large AS SELECT n, md5(n::text) AS note FROM generate_series(1, 60000) n;`,
  );
  await source.createDatabase('quick');
  await source.psql('quick', 'CREATE TABLE notes AS SELECT n FROM generate_series(1, 100) n');
  await target.psql('postgres', `CREATE ROLE maker LOGIN CREATEDB PASSWORD '${PASSWORD}'`);
  bed = await new RestoreBed().backUp(
    [
      { type: 'postgres', name: 'plain', url: source.urlOf('slow') },
      { type: 'postgres', name: 'custom', url: source.urlOf('slow'), format: 'custom' },
      { type: 'postgres', name: 'quick', url: source.urlOf('quick') },
    ],
    { compression: 'none' },
  );
});

afterAll(async () => {
  bed[Symbol.dispose]();
  await Promise.all([source, target].map(async (cluster) => await cluster[Symbol.asyncDispose]()));
});

/** Starts a restore, and does something to it while it is in the middle. */
async function inTheMiddle(
  args: readonly string[],
  act: (pid: number, children: ProcessEntry[]) => void,
  from = bed,
): Promise<{ status: number | null; signal: string | null; stdout: string; stderr: string }> {
  let acted: Promise<void> | undefined;
  const finished = await from.run(['restore', ...args], {
    onStart: ({ pid = -1 }) => {
      acted = waitFor('a pause', async () => (await target.psql('postgres', SLEEPING)) !== '0').then(() =>
        act(pid, descendantsOf(pid)),
      );
      acted.catch(() => undefined);
    },
  });
  await acted;
  return finished;
}

/** Once nobody of a dead restore is at work any more. */
async function whenQuiet(): Promise<void> {
  const at = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^cofre restore'";
  await waitFor('the end of the sessions', async () => (await target.psql('postgres', at)) === '0');
}

async function tablesIn(database: string): Promise<string> {
  return await target.psql(
    database,
    "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 2200",
  );
}

interface Place {
  format: 'plain' | 'custom';
  flags: string[];
  /** Tables of the database that is there before. */
  tables?: string;
  /** What a restore that is stopped says; D is the name of the database. */
  stopped: string;
  /** Databases that one which is killed leaves behind. */
  killed: string[];
}

const PLACES: [string, Place][] = [
  [
    'a plain dump into an empty database',
    {
      format: 'plain',
      flags: [],
      tables: '',
      stopped: 'nothing was changed in the database "D"',
      killed: ['D'],
    },
  ],
  [
    'a plain dump into a new database',
    {
      format: 'plain',
      flags: ['--create'],
      stopped: 'the database "D" that was made for it was dropped again',
      killed: ['D'],
    },
  ],
  [
    'a custom dump into a new database',
    {
      format: 'custom',
      flags: ['--create'],
      stopped: 'the database "D" that was made for it was dropped again',
      killed: ['D'],
    },
  ],
  [
    'a custom dump into the place of another',
    {
      format: 'custom',
      flags: ['--clean'],
      tables: 'old',
      stopped: 'the database "D" is as it was; the database "D_cofre_',
      killed: ['D', 'D_cofre_X'],
    },
  ],
];

describe.each(PLACES)('a restore of %s', (_what, { format, flags, tables, stopped, killed }) => {
  /** Makes what is to be there before. */
  async function placeFor(how: string): Promise<{ database: string; args: string[] }> {
    const database = `${format}_${flags.join('').replaceAll('-', '')}_${how}`;
    if (tables !== undefined) await target.createDatabase(database);
    if (tables === 'old') await target.psql(database, 'CREATE TABLE old (id int)');
    return { database, args: [bed.nameOf(format), '--to', target.urlOf(database), ...flags] };
  }

  /** Databases that were made for it, their names as in the table above; and the tables of the one it is about. */
  async function stateOf(database: string): Promise<{ names: string[]; tables: string | undefined }> {
    const all = (await target.psql('postgres', DATABASES)).split('\n');
    const names = all.filter((name) => name.startsWith(database));
    const known = names.map((name) => name.replace(database, 'D').replace(/_cofre_\w+$/, '_cofre_X'));
    return {
      names: known,
      tables: names.includes(database) ? ((await tablesIn(database)) ?? '') : undefined,
    };
  }

  test('that is told to stop undoes what it did, and says so', async () => {
    const { database, args } = await placeFor('stopped');
    const before = await stateOf(database);
    const finished = await inTheMiddle(args, (pid) => process.kill(pid, 'SIGINT'));
    expect(finished.status).toBe(1);
    const { error } = JSON.parse(finished.stdout) as { error: { code: string; message: string } };
    expect(error.code).toBe('CANCELLED');
    expect(error.message).toContain(`cancelled by a signal; ${stopped.replaceAll('D', database)}`);
    expect(await stateOf(database)).toEqual(before);
    expect(bed.left()).toEqual([]);
    expect(bed.ended('@restore').at(-1)).toMatchObject({
      outcome: 'cancelled',
      errors: [{ code: 'CANCELLED' }],
    });
  });

  test('that is killed leaves the target as it was, or a database of its own', async () => {
    const { database, args } = await placeFor('killed');
    const finished = await inTheMiddle(args, (pid) => process.kill(pid, 'SIGKILL'));
    expect(finished.signal).toBe('SIGKILL');
    await whenQuiet();
    const left = await stateOf(database);
    expect(left.names).toEqual(killed);
    // What was there is there, and a plain dump is committed at its end only.
    expect(left.tables).toBe(format === 'custom' && tables === undefined ? left.tables : (tables ?? ''));
    if (tables === undefined) await target.psql('postgres', `DROP DATABASE "${database}" WITH (FORCE)`);
    const again = await bed.restore(args);
    expect(again.answer).toMatchObject({ success: true, restored: { tables: 2, rows: 60_001 } });
    expect(bed.left()).toEqual([]);
    // Whoever comes next writes the end of the dead run.
    expect(bed.ended('@restore').slice(-2)).toMatchObject([
      { outcome: 'failed', errors: [{ code: 'INTERRUPTED' }] },
      { outcome: 'succeeded' },
    ]);
  });
});

test('an archive that is cut off while it is read is not committed', async () => {
  using copy = bed.copy();
  const manifest = copy.of('plain');
  await target.createDatabase('cut');
  // Between two lines, where nothing but the missing end tells it.
  const text = readFileSync(copy.path(manifest), 'latin1');
  const end = text.indexOf('\n', 1_000_000) + 1;
  const cut = () => truncateSync(copy.path(manifest), end);
  const { status, stdout } = await inTheMiddle([manifest.filename, '--to', target.urlOf('cut')], cut, copy);
  expect(status).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    error: {
      code: 'RESTORE_FAILED',
      message: expect.stringMatching(
        /^reading the archive failed: .*; nothing was changed in the database "cut"$/,
      ),
    },
  });
  expect(await tablesIn('cut')).toBe('');
});

test('an archive in the custom format that cannot be unpacked says where there is no room', async () => {
  using copy = bed.copy();
  using disk = smallDisk(join(copy.dir, 'disk'), 100_000, true);
  if (disk.kind !== 'tmpfs') return;
  copy.configure({ scratch: { directory: disk.path }, jobs: {} });
  const args = [copy.nameOf('custom'), '--to', target.urlOf('roomy'), '--create'];
  expect(await refused(target, args, copy)).toMatchObject({
    code: 'SPACE_LOW',
    message: expect.stringMatching(
      new RegExp(
        `cannot be unpacked in ${disk.path}/\\S+: .* are free, the archive takes .*; nothing was changed$`,
      ),
    ),
    hint: expect.stringContaining('scratch.directory'),
  });
  copy.configure({ scratch: { directory: join(copy.dir, 'nowhere') }, jobs: {} });
  const { code, message } = await refused(target, args, copy);
  expect({ code, message }).toEqual({
    code: 'RESTORE_FAILED',
    message: expect.stringMatching(
      /^no temporary directory can be made in .*nowhere: .*; nothing was changed$/,
    ),
  });
});

describe('a password', () => {
  const withPassword = (database: string) =>
    target.tcpUrlOf(database, 'maker').replace('maker@', `maker:${encodeURIComponent(PASSWORD)}@`);

  test.each(['plain', 'custom'])(
    'is in no command line that a restore of the format %s starts',
    async (format) => {
      const database = `secret_${format}`;
      const commands: string[] = [];
      const args = [bed.nameOf(format), '--to', withPassword(database), '--create', '--no-owner'];
      const finished = await inTheMiddle(args, (_pid, children) => {
        commands.push(...children.map(({ command }) => command));
      });
      expect(finished.status).toBe(0);
      expect(commands.join('\n')).toMatch(format === 'plain' ? /psql/ : /pg_restore/);
      const all = [...commands, finished.stdout, finished.stderr, JSON.stringify(bed.journal())].join('\n');
      expect(all).not.toContain('s3cret');
    },
  );

  test('may come from the environment, and a wrong one is not shown', async () => {
    const args = [bed.nameOf('quick'), '--to', target.tcpUrlOf('given', 'maker'), '--create', '--no-owner'];
    const right = await bed.restore(args, { env: { PGPASSWORD: PASSWORD } });
    expect(right.answer).toMatchObject({ success: true });
    const wrong = await bed.restore(args, { env: { PGPASSWORD: 'wr0ng' } });
    expect(wrong.answer.error).toMatchObject({ code: 'SERVER_AUTH' });
    expect(JSON.stringify(wrong)).not.toContain('wr0ng');
  });
});

describe('beside others', () => {
  test('a restore works beside a running daemon, and beside another restore', async () => {
    using copy = bed.copy();
    await using daemon = await copy.startDaemon();
    const into = (database: string) => [copy.nameOf('quick'), '--to', target.urlOf(database), '--create'];
    const both = await Promise.all([copy.restore(into('first')), copy.restore(into('second'))]);
    expect(both.map(({ answer }) => answer.success)).toEqual([true, true]);
    // Neither takes the other's run, which has no end yet, for dead.
    expect(copy.ended('@restore').slice(-2)).toMatchObject([
      { outcome: 'succeeded' },
      { outcome: 'succeeded' },
    ]);
    expect(copy.journal().filter((entry) => JSON.stringify(entry).includes('INTERRUPTED'))).toEqual(
      bed.journal().filter((entry) => JSON.stringify(entry).includes('INTERRUPTED')),
    );
    expect((await daemon.health()).body.problems).toEqual([]);
    expect((await daemon.stop()).status).toBe(0);
  });
});

describe('a location that can only be read', () => {
  test.each(['modes', 'mount'])('by its %s is restored from all the same', async (how) => {
    using copy = bed.copy();
    using readOnly = how === 'mount' ? mountedReadOnly(copy) : withoutWritableModes(copy);
    if (readOnly === undefined) return;
    const journal = readFileSync(join(copy.location, 'journal.jsonl'), 'utf8');
    const stored = copy.stored();
    const args = [copy.nameOf('quick'), '--to', target.tcpUrlOf(how, 'maker'), '--create', '--no-owner'];
    const options = { prefix: withoutPrivileges(), env: { PGPASSWORD: PASSWORD } };
    const { status, answer } = await copy.restore(args, options);
    expect(answer).toMatchObject({ success: true, restored: { tables: 1, rows: 100 } });
    expect(status).toBe(0);
    expect(copy.stored()).toEqual(stored);
    expect(readFileSync(join(copy.location, 'journal.jsonl'), 'utf8')).toBe(journal);
  });
});

function withoutWritableModes({ location }: RestoreBed): Disposable {
  execFileSync('chmod', ['-R', 'a-w', location]);
  return { [Symbol.dispose]: () => void execFileSync('chmod', ['-R', 'u+w', location]) };
}

/** Mounts the location a second time, read-only; undefined where one may not. */
function mountedReadOnly(from: RestoreBed): Disposable | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const at = join(from.dir, 'read-only');
  mkdirSync(at);
  try {
    execFileSync('mount', ['--bind', from.location, at], { stdio: 'pipe' });
    execFileSync('mount', ['-o', 'remount,ro,bind', at], { stdio: 'pipe' });
  } catch {
    return undefined;
  }
  from.location = at;
  // All that a machine needs which has nothing but the archives.
  from.configure({ jobs: {} });
  return { [Symbol.dispose]: () => void execFileSync('umount', ['--lazy', at]) };
}
