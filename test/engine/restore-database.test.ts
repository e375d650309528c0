import { describe, expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import type { Manifest } from '../../src/domain/manifest.ts';
import type { Store } from '../../src/domain/ports.ts';
import { restore } from '../../src/engine/restore.ts';
import type { DatabaseRestoreFlags, RestoreReport } from '../../src/engine/restore-request.ts';
import { NO_ABORT, withFaults } from '../support/fakes.ts';
import { FakeDatabaseTarget, type TargetScript } from '../support/fake-database-target.ts';
import { addBackup, daily, journalEntries } from '../support/stock.ts';
import { openTestLocation, type TestLocation } from '../support/test-location.ts';

const ARCHIVE = daily(18);
const GLOBALS = daily(18, 'app_globals');
const FLAGS: DatabaseRestoreFlags = {
  create: false,
  clean: false,
  jobs: 2,
  singleTransaction: true,
  owners: true,
  forceSource: false,
  schemas: [],
  tables: [],
};

interface Bed extends TestLocation {
  target: FakeDatabaseTarget;
  readonly restore: (
    flags?: Partial<DatabaseRestoreFlags>,
    rest?: { dryRun?: boolean; signal?: AbortSignal },
  ) => Promise<RestoreReport>;
}

/** A location with one archive, a target, and what the test adds. */
async function bed(
  script: TargetScript = {},
  facts: Partial<Manifest> = {},
  wrapStore?: (store: Store) => Store,
): Promise<Bed> {
  const target = new FakeDatabaseTarget(script);
  const location = await openTestLocation({
    restoring: { openDatabase: () => target },
    ...(wrapStore === undefined ? {} : { wrapStore }),
  });
  await addBackup(location, ARCHIVE, facts);
  const run: Bed['restore'] = async (flags = {}, { dryRun = false, signal = NO_ABORT } = {}) =>
    await restore(
      location.context,
      {
        filename: ARCHIVE,
        to: 'postgresql://u:secret@db/shop',
        dryRun,
        actor: 'cli:tester',
        database: { ...FLAGS, ...flags },
        files: { paths: [], overwrite: false, outsideLinks: false, owners: false },
      },
      signal,
    );
  return { ...location, target, restore: run };
}

async function failureOf(promise: Promise<unknown>): Promise<BackupError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BackupError);
  return error as BackupError;
}

describe('the journal', () => {
  test('tells who restored and how it ended', async () => {
    const one = await bed();
    await one.restore();
    const identity = {
      job: '@restore',
      trigger: 'cli',
      actor: 'cli:tester',
      run: expect.any(String),
      filename: ARCHIVE,
      target: 'shop at db:5432',
    };
    expect(await journalEntries(one)).toMatchObject([
      { ...identity, event: 'started', sources: ['app'] },
      { ...identity, event: 'ended', outcome: 'succeeded', errors: [], archives: [] },
    ]);
    expect(JSON.stringify(one.log)).not.toContain('secret');
  });

  test('has the error of one that failed', async () => {
    const one = await bed({ occupants: ['table public.t'] });
    await failureOf(one.restore());
    expect(await journalEntries(one)).toMatchObject([
      { event: 'started' },
      { event: 'ended', outcome: 'failed', errors: [{ code: 'TARGET_REFUSED' }] },
    ]);
  });

  test('has the error of one whose outcome is not what was recorded', async () => {
    const one = await bed({ counts: [1] });
    expect(await one.restore()).toMatchObject({ differences: [expect.stringContaining('public.items')] });
    expect((await journalEntries(one)).at(-1)).toMatchObject({
      outcome: 'failed',
      filename: ARCHIVE,
      target: 'shop at db:5432',
      errors: [
        {
          code: 'RESTORE_FAILED',
          message: expect.stringMatching(/is not what was recorded: public\.items: 2 rows .*, 1 are there$/),
        },
      ],
    });
    expect(await one.metric('cofre_errors_total', { step: 'restore' })).toBe(1);
  });

  test('has nothing of a dry run', async () => {
    const one = await bed();
    await one.restore({}, { dryRun: true });
    expect(await journalEntries(one)).toEqual([]);
    expect(one.target.done).toEqual([]);
  });
});

describe('the database that an archive came from', () => {
  const facts = { database: 'shop', system_identifier: '1' };
  const refusal = { code: 'TARGET_REFUSED', hint: expect.stringContaining('--force-source') };

  test('is that of its name in its cluster', async () => {
    const { restore: run } = await bed({ system_identifier: '1' }, facts);
    expect(await failureOf(run())).toMatchObject({
      ...refusal,
      message: expect.stringContaining('is the database'),
    });
    expect(await failureOf(run({ clean: true }))).toMatchObject(refusal);
    expect(await run({ forceSource: true })).toMatchObject({ differences: [] });
  });

  test.each([
    ['another cluster', { system_identifier: '2' }, facts],
    ['another name', { system_identifier: '1', database: 'shop_2' }, facts],
    ['a manifest that does not say which, and an empty database', {}, {}],
    ['no cluster told, and another name', { database: 'shop_2' }, { database: 'shop' }],
  ])('is not that of %s', async (_what, script, manifest) => {
    const { restore: run } = await bed(script, manifest);
    expect(await run()).toMatchObject({ differences: [] });
  });

  test.each([
    ['the server does not say', {}, facts, 'the same name'],
    ['the manifest does not say', { system_identifier: '1' }, { database: 'shop' }, 'the same name'],
    ['a manifest made anew says nothing', { occupants: ['table t'] }, {}, 'the manifest does not say which'],
    [
      'nor does it beside a cluster that is told',
      { occupants: ['table t'], system_identifier: '1' },
      { system_identifier: '1' },
      'the manifest does not say which',
    ],
  ])('may be it where %s', async (_what, script, manifest, why) => {
    const { restore: run } = await bed(script, manifest);
    const error = await failureOf(run({ clean: true }));
    expect(error).toMatchObject({
      ...refusal,
      message: expect.stringMatching(`may be the database .*${why}`),
    });
  });
});

describe('the archive of roles', () => {
  test.each([
    ['of the same run', [16, 17, 18, 19], 'this', 17],
    ['that is the newest before it, where that run has none', [16, 17, 19], 'none', 17],
    ['that is the oldest, where there is none before it', [19, 20], 'none', 19],
  ])('is the one %s', async (_what, days, run, expected) => {
    const one = await bed({}, { run: 'this' });
    for (const day of days) {
      const facts = { run: run === 'this' && day === expected ? 'this' : 'another' };
      await addBackup(one, daily(day, 'app_globals'), facts);
    }
    const { steps } = await one.restore({ globals: true });
    expect(steps.filter((step) => step.startsWith('roles and'))).toEqual([
      expect.stringContaining(daily(expected, 'app_globals')),
    ]);
    expect(one.target.done).toEqual(['globals', expect.stringMatching(/^restored/)]);
  });

  test('is not one that did not verify', async () => {
    const one = await bed({}, { run: 'this' });
    const verification = { level: 'contents', ok: false, at: '', detail: '' } as const;
    await addBackup(one, GLOBALS, { run: 'this', verification });
    expect(await failureOf(one.restore({ globals: true }))).toMatchObject({ code: 'ARCHIVE_UNKNOWN' });
    expect(one.target.done).toEqual([]);
  });

  test('makes nothing when the server lacks what it cannot make', async () => {
    const one = await bed({ lacking: ({ roles }) => ({ extensions: ['postgis'], roles }) });
    await addBackup(one, GLOBALS);
    const error = await failureOf(one.restore({ globals: true }));
    expect(error.message).toMatch(/needs: the extensions postgis; nothing was changed$/);
    expect(one.target.done).toEqual([]);
  });

  test('is asked for by names without what steers a terminal', async () => {
    const one = await bed({ lacking: () => ({ roles: ['bad\x1b[31mred'] }) });
    const { message } = await failureOf(one.restore());
    expect(message).toContain('needs: the roles bad\\u{1b}[31mred; nothing');
  });

  test('leaves roles behind when what follows fails, which is said', async () => {
    for (const script of [
      { lacking: (_needs: unknown, asked: number) => (asked === 0 ? {} : { roles: ['ghost'] }) },
      {
        during: (step: string) => {
          if (step === 'restore')
            throw new BackupError('RESTORE_FAILED', 'psql stopped; nothing was changed');
        },
      },
    ]) {
      const one = await bed({ ...script, made: ['clerk', 'reader'] });
      await addBackup(one, GLOBALS);
      const { message } = await failureOf(one.restore({ globals: true }));
      expect(message).toMatch(/; the roles and tablespaces that were made before stay: clerk; reader$/);
    }
  });
});

describe('a restore that is stopped', () => {
  test.each([
    ['look', /^cancelled by a signal; nothing was touched$/],
    ['restore', /^cancelled by a signal; the database was dropped again$/],
    [
      'countRows',
      /^db_backup_\S+ was restored into shop at db:5432, but not compared .*: cancelled by a signal$/,
    ],
  ] as const)('in the step %s says in what state the target is', async (step, message) => {
    const stop = new AbortController();
    const one = await bed({
      during: (now) => {
        if (now !== step) return;
        stop.abort(new BackupError('CANCELLED', 'cancelled by a signal'));
        const state = step === 'restore' ? '; the database was dropped again' : '';
        throw new BackupError('CANCELLED', `cancelled by a signal${state}`);
      },
    });
    const error = await failureOf(one.restore({}, { signal: stop.signal }));
    expect(error.code).toBe('CANCELLED');
    expect(error.message).toMatch(message);
    expect((await journalEntries(one)).at(-1)).toMatchObject({
      event: 'ended',
      outcome: 'cancelled',
      errors: [{ code: 'CANCELLED', message: error.message }],
    });
  });
});

test('a restore that cannot be compared says that it is restored', async () => {
  const during: TargetScript['during'] = (step) => {
    if (step === 'countRows') throw new BackupError('SERVER_AUTH', 'no', { hint: 'Do.' });
  };
  const { restore: run } = await bed({ during });
  expect(await failureOf(run())).toMatchObject({
    code: 'SERVER_AUTH',
    message: expect.stringMatching(/was restored into .*, but not compared with the manifest: no$/),
    hint: 'Do.',
  });
});

/** A store whose second reading of a file is not what the first was. */
function changing(change: (chunk: Buffer) => Buffer[] | Error): (store: Store) => Store {
  let reads = 0;
  return (store) =>
    withFaults(store, {
      get: async function* (...args) {
        reads += 1;
        for await (const chunk of store.get(...args)) {
          if (reads === 1) {
            yield chunk;
            continue;
          }
          const changed = change(Buffer.from(chunk));
          if (changed instanceof Error) throw changed;
          yield* changed;
        }
      },
    });
}

describe('an archive that was verified and changes before it is restored', () => {
  test.each([
    ['by a trailing byte', (chunk: Buffer) => [chunk, Buffer.alloc(1)], 'ARCHIVE_CORRUPT'],
    ['by a bit of its header', (chunk: Buffer) => (chunk.writeUInt8(7, 4), [chunk]), 'ARCHIVE_CORRUPT'],
    ['by losing its end', (chunk: Buffer) => [chunk.subarray(0, -20)], 'ARCHIVE_CORRUPT'],
    ['by an error of the disk', () => Object.assign(new Error('EIO: bad'), { code: 'EIO' }), 'IO_FAILED'],
  ])('%s is not restored', async (_how, change, code) => {
    const one = await bed({}, {}, changing(change));
    expect(await failureOf(one.restore())).toMatchObject({ code });
    expect(one.target.done).toEqual([]);
  });
});
