import { describe, expect, test, vi } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';
import type { Answer } from '../../src/cli/answer.ts';
import type { Session } from '../../src/cli/session.ts';
import type { App } from '../../src/compose.ts';
import { BackupError } from '../../src/domain/errors.ts';
import type { RestoreAdapters } from '../../src/engine/restore-adapters.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { FakeDatabaseTarget, type TargetScript } from '../support/fake-database-target.ts';
import { addBackup, daily } from '../support/stock.ts';
import { openTestLocation, type TestLocation } from '../support/test-location.ts';

const URI = 'postgresql://host/shop';
const CUSTOM = 'db_backup_custom_20261118_020000.dump.gz';
const GLOBALS = 'db_backup_app_globals_20261118_020000.sql.gz';
const FILES = 'files_backup_tree_20261118_020000.tar.gz';

interface Bed extends TestLocation {
  target: FakeDatabaseTarget;
  /** Runs a command line without `restore` at its start. */
  readonly restore: (...argv: string[]) => Promise<Answer>;
}

/** A location with plain dumps of three days and one archive of each other kind. */
async function bed(script: TargetScript = {}): Promise<Bed> {
  const target = new FakeDatabaseTarget(script);
  const restoring: Partial<RestoreAdapters> = { openDatabase: () => target };
  const location = await openTestLocation({ restoring });
  for (const day of [16, 17, 18]) await addBackup(location, daily(day));
  for (const filename of [CUSTOM, GLOBALS, FILES]) await addBackup(location, filename);
  const app = { context: location.context } as App;
  const session = {
    json: true,
    signal: NO_ABORT,
    actor: 'cli:tester',
    open: async () => app,
  } as unknown as Session;
  const restore = async (...argv: string[]) => {
    let answer: Answer | undefined;
    const program = createProgram(async (_flags, work) => {
      answer = await work(session);
    });
    await program.parseAsync(['restore', ...argv], { from: 'user' });
    if (answer === undefined) throw new Error('nothing was run');
    return answer;
  };
  return { ...location, target, restore };
}

async function usageOf(...argv: string[]): Promise<string> {
  return (await refusalOf(...argv)).message;
}

async function refusalOf(...argv: string[]): Promise<BackupError> {
  const { restore, target } = await bed();
  const error = await restore(...argv).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(BackupError);
  expect(error).toMatchObject({ code: 'USAGE', hint: expect.stringMatching(/^[A-Z`].*\.$/) });
  expect(target.done).toEqual([]);
  return error as BackupError;
}

describe('flags that do not fit', () => {
  test.each([
    ['--path', 'x'],
    ['--overwrite'],
    ['--outside-links'],
    ['--jobs', '2'],
    ['--schema', 'x'],
    ['--table', 'x'],
  ])('a plain dump: %s', async (...flag) => {
    expect(await usageOf(daily(18), '--to', URI, ...flag)).toMatch(new RegExp(`^${flag[0]} goes only with `));
  });

  test('a part of a plain dump is refused with the way to get it', async () => {
    const { hint } = await refusalOf(daily(18), '--to', URI, '--table', 'x');
    expect(hint).toMatch(/database of its own \(--create\).*pg_dump --table/);
  });

  test.each([
    ['--schema', 'x'],
    ['--table', 'x'],
  ])('--clean with %s', async (...part) => {
    expect(await usageOf(CUSTOM, '--to', URI, '--clean', ...part)).toMatch(
      /^--clean replaces a whole database/,
    );
  });

  test.each([['--path', 'x'], ['--overwrite'], ['--outside-links'], ['--no-transaction']])(
    'a dump in the custom format: %s',
    async (...flag) => {
      expect(await usageOf(CUSTOM, '--to', URI, ...flag)).toMatch(new RegExp(`^${flag[0]} goes only with `));
    },
  );

  test.each([
    ['--create'],
    ['--clean'],
    ['--force-source'],
    ['--globals'],
    ['--no-owner'],
    ['--no-transaction'],
    ['--jobs', '2'],
    ['--overwrite'],
  ])('an archive of roles: %s', async (...flag) => {
    expect(await usageOf(GLOBALS, '--to', URI, ...flag)).toMatch(new RegExp(`^${flag[0]} goes only with `));
  });

  test.each([
    ['--create'],
    ['--clean'],
    ['--force-source'],
    ['--globals'],
    ['--no-transaction'],
    ['--jobs', '2'],
    ['--schema', 'x'],
    ['--table', 'x'],
  ])('an archive of files: %s', async (...flag) => {
    expect(await usageOf(FILES, '--to', '/tmp/x', ...flag)).toMatch(
      new RegExp(`^${flag[0]} goes only with `),
    );
  });

  test.each(['0', '65', '-1', '1.5', 'two', ''])('--jobs %j', async (jobs) => {
    expect(await usageOf(CUSTOM, '--to', URI, `--jobs=${jobs}`)).toContain('--jobs');
  });
});

test.each([
  [daily(18), '/tmp/x', 'a path'],
  [daily(18), 'shop', 'a path'],
  [daily(18), 'postgresq://host/shop', 'a URI of another kind'],
  [FILES, URI, 'a connection URI'],
  [FILES, 'postgresq://host/shop', 'a URI of another kind'],
])('%s does not go to %s', async (filename, to, what) => {
  const { restore } = await bed();
  await expect(restore(filename, '--to', to)).rejects.toMatchObject({
    code: 'USAGE',
    hint: `Correct --to, which is ${what}.`,
  });
});

test.each([
  [[daily(18)], 'restore needs --to'],
  [['--to', URI], 'restore takes either a filename or --latest SOURCE'],
  [[daily(18), '--latest', 'app', '--to', URI], 'restore takes either a filename or --latest SOURCE'],
  [[daily(18), '--at', '2026-11-18', '--to', URI], '--at goes with --latest SOURCE, not with a filename'],
])('%j is told what is missing', async (argv, message) => {
  expect(await usageOf(...argv)).toBe(message);
});

test('flags arrive where they mean something', async () => {
  const { restore, target } = await bed();
  await restore(CUSTOM, '--to', URI, '--jobs', '7', '--schema', 'a', 'b', '--table', 't', '--no-owner').catch(
    () => 0,
  );
  expect(target.options).toMatchObject({
    jobs: 7,
    schemas: ['a', 'b'],
    tables: ['t'],
    owners: false,
    create: false,
    clean: false,
  });
  await restore(daily(18), '--to', URI, '--no-transaction', '--create', '--clean').catch(() => 0);
  expect(target.options).toMatchObject({ singleTransaction: false, owners: true, create: true, clean: true });
});

describe('--latest', () => {
  /** The filename that is chosen, where the machine is in Tokyo. */
  async function chosen(...argv: string[]): Promise<unknown> {
    vi.stubEnv('TZ', 'Asia/Tokyo');
    try {
      const { restore } = await bed();
      const { json } = await restore('--latest', 'app', '--to', URI, '--dry-run', ...argv);
      return (json as { filename: string }).filename;
    } catch (error) {
      return (error as BackupError).code;
    } finally {
      vi.unstubAllEnvs();
    }
  }

  test('is the newest', async () => {
    expect(await chosen()).toBe(daily(18));
  });

  test.each([
    // At the second, and just before it.
    ['2026-11-17T02:00:00Z', daily(17)],
    ['2026-11-17T01:59:59.999Z', daily(16)],
    ['20261117_020000', daily(17)],
    ['20261117_015959', daily(16)],
    // In the zone of the machine, nine hours ahead.
    ['2026-11-17 11:00', daily(17)],
    ['2026-11-17T10:59:59', daily(16)],
    ['2026-11-18', daily(17)],
    ['2026-11-17', daily(16)],
    // In another one.
    ['2026-11-17T02:00+00:00', daily(17)],
    ['2026-11-16 21:00 -0500', daily(17)],
    ['2026-11-17T02:59:59+01', daily(16)],
    ['2099-01-01', daily(18)],
    ['2026-11-16T01:59:59Z', 'ARCHIVE_UNKNOWN'],
    ['2001-01-01', 'ARCHIVE_UNKNOWN'],
    ['2026-02-30', 'USAGE'],
    ['2026-11-17T25:00', 'USAGE'],
    ['20261317_020000', 'USAGE'],
    ['3', 'USAGE'],
    ['yesterday 1', 'USAGE'],
    ['1763344800', 'USAGE'],
    ['', 'USAGE'],
  ])('--at %j is %s', async (at, expected) => {
    expect(await chosen(`--at=${at}`)).toBe(expected);
  });

  test('of a source of which none verifies says so', async () => {
    const { restore, context } = await bed();
    const spoil = (filename: string) =>
      context.catalogue.update(
        filename,
        (manifest) => ({ ...manifest, verification: { ...manifest.verification, ok: false } }),
        NO_ABORT,
      );
    for (const day of [16, 17, 18]) await spoil(daily(day));
    await expect(restore('--latest', 'app', '--to', URI)).rejects.toMatchObject({
      code: 'ARCHIVE_UNKNOWN',
      message: 'none of the 3 backups of the source "app" verifies',
    });
    await expect(restore('--latest', 'app', '--at=2026-11-16T12:00Z', '--to', URI)).rejects.toMatchObject({
      message: 'the only backup of the source "app" from 2026-11-16T12:00Z or before does not verify',
    });
  });

  test('of a source that has none says so', async () => {
    const { restore } = await bed();
    await expect(restore('--latest', 'ap', '--to', URI)).rejects.toMatchObject({
      code: 'ARCHIVE_UNKNOWN',
      message: 'there is no backup of the source "ap"',
    });
  });
});

describe('the answer', () => {
  test('has status 0, the whole report, and the summary last', async () => {
    const { restore, target } = await bed();
    const { status, json, text } = await restore(daily(18), '--to', URI);
    expect(status).toBe(0);
    expect(json).toEqual({
      success: true,
      filename: daily(18),
      target: 'shop at db:5432',
      dry_run: false,
      steps: [
        expect.stringMatching(/^verified \S+ \(.* B\): 1 table with 2 rows, as dumped$/),
        `restored ${daily(18)} into shop at db:5432`,
        'counted 2 rows in 1 table',
      ],
      restored: { tables: 1, rows: 2 },
      compared: true,
      differences: [],
      duration_ms: 0,
    });
    expect(text.split('\n').at(-1)).toBe(
      `restored ${daily(18)} into shop at db:5432 in 0 ms: 1 table with 2 rows, as recorded`,
    );
    expect(target.done).toHaveLength(1);
  });

  test.each([
    [3, 'public.items: 2 rows in the archive, 3 are there'],
    [undefined, 'public.items: 2 rows in the archive, the table is not there'],
  ])('has status 1 when %s rows stand there, and says so', async (count, difference) => {
    const { restore } = await bed({ counts: [count] });
    const { status, json, text } = await restore(daily(18), '--to', URI);
    expect(status).toBe(1);
    expect(json).toMatchObject({ success: false, differences: [difference] });
    expect(text).toMatch(/BUT what stands there is not what was recorded:\n {2}public\.items: 2 rows/);
    expect(text).not.toContain(', as recorded');
  });

  test('of roles alone does not claim a comparison', async () => {
    const { restore } = await bed({ made: ['clerk'] });
    const { status, text } = await restore(GLOBALS, '--to', URI);
    expect(status).toBe(0);
    expect(text).toContain('made 1 (clerk), left 1 as it was (postgres)');
    expect(text).not.toContain('as recorded');
  });
});
