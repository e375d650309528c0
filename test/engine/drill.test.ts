import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import type { CaptureFacts } from '../../src/domain/ports.ts';
import { parseJournalLine } from '../../src/domain/journal-entry.ts';
import { drill, drillArchive } from '../../src/engine/drill.ts';
import type { RestoreAdapters } from '../../src/engine/restore-adapters.ts';
import { runJob } from '../../src/engine/run.ts';
import { dumpText, FakeSource, NO_ABORT, yields } from '../support/fakes.ts';
import { openTestLocation, testJob, type TestLocation, testRequest } from '../support/test-location.ts';

const ROWS = ['1\tone', '2\ttwo', '3\tthree'];
const RECOVERY_MS = 7_000;
const LOCALE = { encoding: 'UTF8', collate: 'C', ctype: 'C', monetary: 'pt_PT.UTF-8' };

interface Outcome {
  /** The dump of what stands in the scratch database after the restore. */
  again?: string;
  /** What the restore throws. */
  restore?: Error;
  open?: Error;
  sameLocale?: boolean;
  sameMoney?: boolean;
  missingRoles?: string[];
  /** What the scratch server said when it ended by itself. */
  lastWords?: string;
}

interface Bed extends TestLocation {
  filename: string;
  /** What happened to the scratch database, in order. */
  seen: string[];
  outcome: Outcome;
}

/** A location with one archive, and a scratch database that holds what the test says. */
async function backedUp(
  outcome: Outcome = {},
  text = dumpText(ROWS),
  facts: CaptureFacts = { locale: LOCALE },
): Promise<Bed> {
  const seen: string[] = [];
  const restoring: Partial<RestoreAdapters> = {
    openScratch: async () => {
      if (outcome.open !== undefined) throw outcome.open;
      seen.push('made');
      return {
        url: 'postgresql:///scratch',
        server_version: '15.18',
        remarks:
          outcome.sameLocale === false || outcome.sameMoney === false ? ['the locale xx is not here: C'] : [],
        sameLocale: outcome.sameLocale ?? true,
        sameMoney: outcome.sameMoney ?? true,
        missingRoles: outcome.missingRoles ?? [],
        lastWords: () => outcome.lastWords,
        [Symbol.asyncDispose]: async () => void seen.push('gone'),
      };
    },
    openDatabase: () => ({
      describe: async () => 'scratch',
      look: async () => await Promise.reject(new Error('a drill looks at nothing')),
      lacking: async () => await Promise.reject(new Error('nor this')),
      applyGlobals: async () => await Promise.reject(new Error('nor this')),
      existing: async () => [],
      countRows: async () => [],
      restore: async (raw, { owners }) => {
        let bytes = 0;
        for await (const chunk of raw) bytes += chunk.length;
        if (outcome.restore !== undefined) throw outcome.restore;
        bed.clock.advance(RECOVERY_MS);
        seen.push(`restored ${bytes} bytes${owners ? '' : ' without owners'}`);
        return [];
      },
    }),
    openDump: () => new FakeSource({ bytes: yields(outcome.again ?? text) }),
  };
  const location = await openTestLocation({ restoring });
  const source = new FakeSource({ bytes: yields(text), facts });
  const request = testRequest(location.clock.now());
  const { archives } = await runJob(location.context, testJob({ sources: [source] }), request, NO_ABORT);
  const bed: Bed = { ...location, filename: archives[0]?.filename ?? '', seen, outcome };
  return bed;
}

function drillOne({ context, filename }: Bed, signal = NO_ABORT) {
  return drillArchive(context, filename, { job: '@drill', run: 'r', actor: 'test' }, signal);
}

describe('an archive', () => {
  test('is proven when the dump of what was restored is the same, and the scratch database is gone', async () => {
    const bed = await backedUp();
    expect(await drillOne(bed)).toEqual({
      filename: bed.filename,
      verdict: 'proven',
      detail: '1 table with 3 rows and the schema, equal after restore and dump',
      duration_ms: RECOVERY_MS,
    });
    expect(bed.seen).toEqual(['made', `restored ${dumpText(ROWS).length} bytes`, 'gone']);
    const { proof } = await bed.context.catalogue.read(bed.filename);
    expect(proof).toMatchObject({
      verdict: 'proven',
      at: bed.clock.now().toISOString(),
      duration_ms: RECOVERY_MS,
      versions: { cofre: '0.0.0-test', server: '15.18', pg_dump: '15.18' },
    });
  });

  test('is proven when its rows come back in another order, which is said', async () => {
    const bed = await backedUp({ again: dumpText(ROWS.toReversed()) });
    expect(await drillOne(bed)).toMatchObject({
      verdict: 'proven',
      detail: expect.stringContaining('rows in another order in 1 table'),
    });
  });

  test.each([
    [
      'a row less',
      dumpText(ROWS.slice(1)),
      'table public.items: 3 rows in the archive, 2 restored (at least 1 of the archive missing)',
    ],
    [
      'another row',
      dumpText(['1\tone', '2\ttwo', '3\tthrow']),
      'table public.items: 3 rows in both, but not the same data in at least 1',
    ],
    ['another table', dumpText(ROWS, 'others'), 'table public.items: missing from what was restored'],
    [
      'another column',
      dumpText(ROWS).replace('name text', 'name bytea'),
      'preamble: another definition than in the archive',
    ],
  ])('has failed when there is %s afterwards, and what differs is named', async (_, again, detail) => {
    const bed = await backedUp({ again });
    const result = await drillOne(bed);
    expect(result.verdict).toBe('failed');
    expect(result.detail).toContain(detail);
    expect((await bed.context.catalogue.read(bed.filename)).proof?.verdict).toBe('failed');
    expect(bed.seen.at(-1)).toBe('gone');
  });

  test('with names that steer a terminal has them told without that', async () => {
    const text = dumpText(ROWS, '"bad\x1b[31mred"');
    const { detail } = await drillOne(await backedUp({ again: dumpText(ROWS) }, text));
    expect(detail).toContain('table public.bad\\u{1b}[31mred: missing from what was restored (3 rows');
    expect(detail).not.toContain('\x1b');
  });

  const OTHERWISE = [
    ['another row', dumpText(['1\tone', '2\ttwo', '3\tthrow']), 'table public.items: 3 rows in both'],
    [
      'another column',
      dumpText(ROWS).replace('name text', 'name bytea'),
      'preamble: another definition than in the archive',
    ],
  ] as const;

  test.each(OTHERWISE)('taken in an unknown time zone is not refuted by %s', async (_, again, detail) => {
    const bed = await backedUp({ again }, undefined, {});
    const result = await drillOne(bed);
    expect(result.verdict).toBe('not provable here');
    expect(result.detail).toMatch(/^the manifest does not record the locale .* in another time zone/);
    expect(result.detail).toContain(detail);
  });

  test.each(OTHERWISE)('is not refuted by %s where money is written otherwise', async (_, again, detail) => {
    const { verdict, detail: said } = await drillOne(await backedUp({ again, sameMoney: false }));
    expect(verdict).toBe('not provable here');
    expect(said).toContain(`the locale xx is not here: C; ${detail}`);
    // How it sorts has no part in what is written.
    expect(await drillOne(await backedUp({ again, sameLocale: false }))).toMatchObject({ verdict: 'failed' });
  });

  test('that lacks something afterwards has failed, whatever it was written in', async () => {
    for (const again of [dumpText(ROWS.slice(1)), dumpText(ROWS, 'others')]) {
      expect(await drillOne(await backedUp({ again }, undefined, {}))).toMatchObject({ verdict: 'failed' });
      expect(await drillOne(await backedUp({ again, sameMoney: false }))).toMatchObject({
        verdict: 'failed',
      });
    }
  });

  test('has failed when it is not what its manifest records, without a restore', async () => {
    const bed = await backedUp();
    await bed.context.catalogue.update(
      bed.filename,
      (manifest) => ({ ...manifest, contents: { tables: [], schema_sha256: '0'.repeat(64) } }),
      NO_ABORT,
    );
    const { verdict, detail } = await drillOne(bed);
    expect({ verdict, detail }).toEqual({
      verdict: 'failed',
      detail: expect.stringMatching(
        /^the archive is not what was recorded of it: table public\.items: 3 rows in the archive, none recorded/,
      ),
    });
    expect(bed.seen).toEqual([]);
  });

  test('has failed when it does not restore, unless the locale is another one', async () => {
    const restore = new BackupError('RESTORE_FAILED', 'psql stopped at line 7');
    const same = await backedUp({ restore });
    expect(await drillOne(same)).toMatchObject({ verdict: 'failed', detail: 'psql stopped at line 7' });
    const other = await backedUp({ restore, sameLocale: false });
    expect(await drillOne(other)).toMatchObject({
      verdict: 'not provable here',
      detail: 'the locale xx is not here: C; psql stopped at line 7',
    });
    const otherMoney = await backedUp({ restore, sameMoney: false });
    expect((await drillOne(otherMoney)).verdict).toBe('not provable here');
  });

  test.each([
    ['the machine lacks something', new BackupError('NOT_PROVABLE', 'no extension x')],
    ['a program is missing', new BackupError('TOOL_MISSING', 'initdb was not found')],
    ['cofre has a fault', new TypeError('x is not a function')],
  ])('is not provable here when %s, never more', async (_, open) => {
    const bed = await backedUp({ open });
    const { verdict, detail } = await drillOne(bed);
    expect(verdict).toBe('not provable here');
    expect(detail).toContain(open.message);
    expect((await bed.context.catalogue.read(bed.filename)).proof?.verdict).toBe('not provable here');
  });

  test('whose restore lacks something on the server is not provable here', async () => {
    const bed = await backedUp({ restore: new BackupError('NOT_PROVABLE', 'no extension x') });
    expect((await drillOne(bed)).verdict).toBe('not provable here');
    expect(bed.seen).toEqual(['made', 'gone']);
  });

  test('whose server died in the middle is not provable here, whatever the restore made of it', async () => {
    const restore = new BackupError('RESTORE_FAILED', 'the connection was lost');
    const bed = await backedUp({ restore, lastWords: 'out of memory' });
    expect(await drillOne(bed)).toMatchObject({
      verdict: 'not provable here',
      detail: expect.stringContaining('the throwaway server ended in the middle of the drill: out of memory'),
    });
  });

  test('is restored without owners where roles are missing, which is said', async () => {
    const bed = await backedUp({ missingRoles: ['alice'] });
    const { verdict, detail } = await drillOne(bed);
    expect(verdict).toBe('proven');
    expect(detail).toContain('owners and privileges left aside: no role alice');
    expect(bed.seen[1]).toContain('without owners');
  });

  test('gets no verdict from a drill that is cancelled', async () => {
    const stop = new AbortController();
    const bed = await backedUp({ restore: new Error('cut off') });
    stop.abort(new BackupError('CANCELLED', 'stopped'));
    await expect(drillOne(bed, stop.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
    expect((await bed.context.catalogue.read(bed.filename)).proof).toBeUndefined();
  });
});

describe('drills', () => {
  test('are in the journal, which the metric counts', async () => {
    const bed = await backedUp({ again: dumpText(ROWS.slice(1)) });
    const request = { task: '@drill', filenames: [bed.filename], trigger: 'cli' as const, actor: 'test' };
    await drill(bed.context, request, NO_ABORT);
    const lines = (await readFile(bed.location.journal, 'utf8')).trim().split('\n');
    expect(parseJournalLine(lines.at(-1) ?? '')).toMatchObject({
      event: 'ended',
      job: '@drill',
      outcome: 'failed',
      errors: [{ code: 'DRILL_FAILED', path: bed.filename }],
      drills: [{ filename: bed.filename, verdict: 'failed' }],
    });
    expect(await bed.metric('cofre_drill_total', { source: 'app', verdict: 'failed' })).toBe(1);
    const later = await openTestLocation({ root: bed.root });
    await later.context.journal.refresh();
    expect(await later.metric('cofre_drill_total', { source: 'app', verdict: 'failed' })).toBe(1);
  });
});

describe('a job that drills each archive', () => {
  test('succeeds with proven archives, and hands out their proof', async () => {
    const bed = await backedUp();
    const source = new FakeSource({ bytes: yields(dumpText(ROWS)) });
    bed.clock.advance(60_000);
    const request = testRequest(bed.clock.now());
    const result = await runJob(
      bed.context,
      testJob({ sources: [source], drill: 'each' }),
      request,
      NO_ABORT,
    );
    expect(result).toMatchObject({ outcome: 'succeeded', archives: [{ proof: { verdict: 'proven' } }] });
    expect(await bed.metric('cofre_drill_total', { source: 'app', verdict: 'proven' })).toBe(1);
  });

  test('fails with an archive that does not restore, which stays', async () => {
    const bed = await backedUp({ again: dumpText(ROWS.slice(1)) });
    const source = new FakeSource({ bytes: yields(dumpText(ROWS)) });
    bed.clock.advance(60_000);
    const request = testRequest(bed.clock.now());
    const result = await runJob(
      bed.context,
      testJob({ sources: [source], drill: 'each' }),
      request,
      NO_ABORT,
    );
    expect(result).toMatchObject({ outcome: 'failed', errors: [{ code: 'DRILL_FAILED', source: 'app' }] });
    expect(bed.context.catalogue.list()).toHaveLength(2);
  });

  test('does not fail for what this machine cannot prove', async () => {
    const bed = await backedUp({ open: new BackupError('NOT_PROVABLE', 'no server programs') });
    const source = new FakeSource({ bytes: yields(dumpText(ROWS)) });
    bed.clock.advance(60_000);
    const request = testRequest(bed.clock.now());
    const result = await runJob(
      bed.context,
      testJob({ sources: [source], drill: 'each' }),
      request,
      NO_ABORT,
    );
    expect(result).toMatchObject({
      outcome: 'succeeded',
      archives: [{ proof: { verdict: 'not provable here', detail: 'no server programs' } }],
    });
  });
});
