import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Manifest } from '../../src/domain/manifest.ts';
import { takeInventory } from '../../src/engine/inventory.ts';
import { type RebuildRequest, rebuildCatalogue } from '../../src/engine/rebuild.ts';
import { runJob } from '../../src/engine/run.ts';
import { dumpText, FakeSource, NO_ABORT } from '../support/fakes.ts';
import { below, scratch, tar } from '../support/file-tree.ts';
import { plantLink } from '../support/planted-link.ts';
import { addBackup, contentsOf, daily, journalEntries } from '../support/stock.ts';
import {
  openTestLocation,
  type TestLocation,
  type TestLocationOptions,
  testJob,
  testRequest,
} from '../support/test-location.ts';

const TAKEN = '2026-11-20T02:00:00.000Z';

function request(facts: Partial<RebuildRequest> = {}): RebuildRequest {
  const progress = { begin: () => undefined, advance: () => undefined };
  return { trigger: 'cli', actor: 'cli:alice', jobOf: () => undefined, progress, ...facts };
}

/** One archive by a real run, recorded in the journal. */
async function backUp(bed: TestLocation, source = new FakeSource()): Promise<Manifest> {
  const { archives, errors } = await runJob(
    bed.context,
    testJob({ sources: [source] }),
    testRequest(new Date(TAKEN), { run: 'the-run' }),
    NO_ABORT,
  );
  expect(errors).toEqual([]);
  if (archives[0] === undefined) throw new Error('no archive');
  return archives[0];
}

function loseManifest({ location }: TestLocation, { filename }: { filename: string }): void {
  rmSync(location.manifestPath(filename));
}

/** The location as a process that starts now sees it. */
async function reopen(
  { root, clock }: TestLocation,
  options: TestLocationOptions = {},
): Promise<TestLocation> {
  return await openTestLocation({ root, clock, ...options });
}

test('a manifest that was lost is made from the archive, with what the journal knows of its run', async () => {
  const bed = await openTestLocation();
  const lost = await backUp(bed);
  loseManifest(bed, lost);
  bed.clock.advance(3_600_000);
  expect(await rebuildCatalogue(bed.context, request(), NO_ABORT)).toEqual({
    rebuilt: [lost.filename],
    faults: [],
  });
  const found = await bed.context.catalogue.read(lost.filename);
  expect(found).toEqual({
    ...lost,
    rebuilt: true,
    run: 'the-run',
    started_at: TAKEN,
    duration_ms: 0,
    // As the dump says.
    server_version: '15.18',
    tool_version: '15.18',
    verification: {
      level: 'contents',
      ok: true,
      at: bed.clock.now().toISOString(),
      detail: '1 table with 2 rows; it decodes to its end, and there was nothing to compare it with',
    },
  });
  expect(await takeInventory(bed.context)).toEqual([]);
  // It is known to the journal already.
  expect((await journalEntries(bed)).filter((entry) => entry?.job === '@rebuild')).toEqual([]);
});

test('without a journal, the job is that of the configuration, and the time that of the name', async () => {
  const bed = await openTestLocation();
  for (const [day, source] of [
    [18, 'app'],
    [19, 'gone'],
    [20, 'app_globals'],
  ] as const) {
    writeFileSync(bed.location.archivePath('database', daily(day, source)), gzipSync(dumpText()));
  }
  const jobOf = (source: string) => (source === 'gone' ? undefined : 'nightly');
  const { rebuilt, faults } = await rebuildCatalogue(bed.context, request({ jobOf }), NO_ABORT);
  expect(faults).toEqual([]);
  expect(rebuilt).toEqual([daily(18), daily(20, 'app_globals'), daily(19, 'gone')]);
  const [first, second, third] = bed.context.catalogue.list();
  expect(first).toMatchObject({
    created_at: '2026-11-18T02:00:00.000Z',
    started_at: '2026-11-18T02:00:00.000Z',
    run: '20261118_020000-000000',
    job: 'nightly',
    source: 'app',
    trigger: 'cli',
    actor: 'cli:alice',
    raw_size: dumpText().length,
    compression: 'gzip',
    compressed: true,
    format: 'plain',
    rebuilt: true,
    pinned: false,
    incomplete: false,
  });
  expect(second).toMatchObject({ source: 'gone', job: '@rebuild' });
  expect(third).toMatchObject({ source: 'app_globals', job: 'nightly' });
  expect((await bed.context.catalogue.read(daily(18))).contents).toEqual(await contentsOf(dumpText()));
  expect(await journalEntries(bed)).toMatchObject([
    {
      event: 'ended',
      job: '@rebuild',
      outcome: 'succeeded',
      actor: 'cli:alice',
      archives: [daily(18), daily(19, 'gone'), daily(20, 'app_globals')],
    },
  ]);
  expect(bed.log.filter(({ msg }) => msg.includes(' is a backup'))).toHaveLength(3);

  // Its line in the journal does not make the rebuild the run that wrote them.
  loseManifest(bed, { filename: daily(18) });
  await rebuildCatalogue(bed.context, request({ jobOf }), NO_ABORT);
  expect(bed.context.catalogue.find(daily(18))).toMatchObject({
    job: 'nightly',
    run: '20261118_020000-000000',
  });

  // One that is lost from now on is missed.
  rmSync(bed.location.archivePath('database', daily(18)));
  loseManifest(bed, { filename: daily(18) });
  expect(await takeInventory(bed.context)).toMatchObject([{ filename: daily(18), kind: 'lost' }]);
});

test('where nothing is lost, nothing is read and nothing is written', async () => {
  const bed = await openTestLocation();
  const kept = await backUp(bed);
  const before = readFileSync(bed.location.manifestPath(kept.filename), 'utf8');
  const journaled = (await journalEntries(bed)).length;
  const read: string[] = [];
  const progress = { begin: (filename: string) => read.push(filename), advance: () => undefined };
  for (let count = 0; count < 2; count += 1) {
    expect(await rebuildCatalogue(bed.context, request({ progress }), NO_ABORT)).toEqual({
      rebuilt: [],
      faults: [],
    });
  }
  expect(read).toEqual([]);
  expect(readFileSync(bed.location.manifestPath(kept.filename), 'utf8')).toBe(before);
  expect(await journalEntries(bed)).toHaveLength(journaled);
});

describe('what is no archive, or no whole one, gets no manifest:', () => {
  test.each<[string, (path: string) => void, RegExp]>([
    ['one cut in the middle', (path) => truncateSync(path, 60), /gzip|ends/],
    ['one of nothing', (path) => truncateSync(path, 0), /holds nothing|ends|gzip/],
    ['one that is something else', (path) => writeFileSync(path, 'x'), /gzip/],
    [
      'a dump without its end',
      (path) => writeFileSync(path, gzipSync(dumpText().slice(0, -60))),
      /ends within the data of table public\.items/,
    ],
  ])('%s', async (_what, damage, says) => {
    const bed = await openTestLocation();
    const [lost, whole] = [await backUp(bed), await backUp(bed, new FakeSource({ name: 'other' }))];
    loseManifest(bed, lost);
    loseManifest(bed, whole);
    damage(lost.filepath);
    const result = await rebuildCatalogue(bed.context, request(), NO_ABORT);
    expect(result).toEqual({
      rebuilt: [whole.filename],
      faults: [{ filename: lost.filename, detail: expect.stringMatching(says) }],
    });
    expect(bed.context.catalogue.find(lost.filename)).toBeUndefined();
    // The journal knows both from the runs; nothing of this rebuild has to be added.
    expect(await takeInventory(bed.context)).toMatchObject([{ filename: lost.filename, kind: 'orphan' }]);
  });

  test('one that is written, was rejected, or is under deletion', async () => {
    const bed = await openTestLocation();
    const [deleted, other] = [await backUp(bed), await backUp(bed, new FakeSource({ name: 'other' }))];
    const manifest = bed.location.manifestPath(deleted.filename);
    renameSync(manifest, `${manifest}.deleting`);
    loseManifest(bed, other);
    for (const state of ['partial', 'failed']) {
      const name = `.${daily(1, state)}.${state}`;
      writeFileSync(join(bed.root, 'database', name), readFileSync(other.filepath));
    }
    const again = await rebuildCatalogue(bed.context, request(), NO_ABORT);
    expect(again).toEqual({ rebuilt: [other.filename], faults: [] });
    expect(readdirSync(bed.location.manifests).toSorted()).toEqual(
      [`${deleted.filename}.json.deleting`, `${other.filename}.json`].toSorted(),
    );
  });

  test('one that gets its manifest, or its mark of deletion, while it is read', async () => {
    for (const suffix of ['.json', '.json.deleting']) {
      const bed = await openTestLocation();
      const lost = await backUp(bed);
      loseManifest(bed, lost);
      const path = join(bed.location.manifests, lost.filename + suffix);
      const progress = { begin: () => writeFileSync(path, 'theirs'), advance: () => undefined };
      const { rebuilt } = await rebuildCatalogue(bed.context, request({ progress }), NO_ABORT);
      expect(rebuilt).toEqual([]);
      expect(readFileSync(path, 'utf8')).toBe('theirs');
      expect(readdirSync(bed.location.manifests)).toEqual([lost.filename + suffix]);
    }
  });
});

test('a manifest that cannot be read is left alone, and named with what to do', async () => {
  const bed = await openTestLocation();
  const broken = await backUp(bed);
  const path = bed.location.manifestPath(broken.filename);
  writeFileSync(path, '{"version": 1');
  const { rebuilt, faults } = await rebuildCatalogue((await reopen(bed)).context, request(), NO_ABORT);
  expect(rebuilt).toEqual([]);
  expect(faults).toEqual([
    { filename: broken.filename, detail: expect.stringMatching(/is not JSON; .*move it away and run/) },
  ]);
  expect(readFileSync(path, 'utf8')).toBe('{"version": 1');
  rmSync(path);
  expect((await rebuildCatalogue((await reopen(bed)).context, request(), NO_ABORT)).rebuilt).toEqual([
    broken.filename,
  ]);
});

test('an archive of a run that was incomplete stays marked as such', async () => {
  const bed = await openTestLocation();
  const lost = await addBackup(bed, daily(18), {});
  loseManifest(bed, lost);
  const files = 'files_backup_tree_20261118_020000.tar';
  writeFileSync(bed.location.archivePath('files', files), tarOf());
  await bed.context.journal.append({
    event: 'ended',
    at: TAKEN,
    run: 'r',
    job: 'nightly',
    trigger: 'schedule',
    actor: 'daemon',
    outcome: 'incomplete',
    duration_ms: 1,
    archives: [daily(18), files],
    errors: [],
  });
  await rebuildCatalogue(bed.context, request(), NO_ABORT);
  expect(bed.context.catalogue.find(daily(18))).toMatchObject({ incomplete: false });
  const found = await bed.context.catalogue.read(files);
  expect(found).toMatchObject({
    incomplete: true,
    directories: ['top', 'n\\xff'],
    contents: {
      entries: 3,
      incomplete: [{ path: '...', reason: expect.stringContaining('was incomplete') }],
    },
  });
  expect(found).not.toHaveProperty('roots');
});

test('while a backup of its source is under way, an archive without a manifest is left to it', async () => {
  const bed = await openTestLocation();
  const lost = await backUp(bed);
  loseManifest(bed, lost);
  const lock = await bed.location.lock('run.app', NO_ABORT);
  const stop = new AbortController();
  const rebuilding = rebuildCatalogue(bed.context, request(), stop.signal);
  stop.abort(new Error('enough'));
  await expect(rebuilding).rejects.toThrow('enough');
  expect(readdirSync(bed.location.manifests)).toEqual([]);
  const begun: string[] = [];
  const progress = { begin: (filename: string) => begun.push(filename), advance: () => undefined };
  const waiting = rebuildCatalogue(bed.context, request({ progress }), NO_ABORT);
  // Time enough to begin, for one that did not wait.
  await delay(200);
  await bed.context.catalogue.add(lost, NO_ABORT);
  await lock[Symbol.asyncDispose]();
  expect(await waiting).toEqual({ rebuilt: [], faults: [] });
  expect(begun).toEqual([]);
});

test('what an interrupted rebuild did not tell the journal, the next one does', async () => {
  const bed = await openTestLocation();
  for (const day of [18, 19])
    writeFileSync(bed.location.archivePath('database', daily(day)), gzipSync(dumpText()));
  const stop = new AbortController();
  const progress = {
    begin: (filename: string) => {
      if (filename === daily(19)) stop.abort(new Error('enough'));
    },
    advance: () => undefined,
  };
  await expect(rebuildCatalogue(bed.context, request({ progress }), stop.signal)).rejects.toThrow('enough');
  expect(bed.context.catalogue.list().map(({ filename }) => filename)).toEqual([daily(18)]);
  expect(await journalEntries(bed)).toEqual([]);
  const next = await reopen(bed);
  expect((await rebuildCatalogue(next.context, request(), NO_ABORT)).rebuilt).toEqual([daily(19)]);
  expect(await journalEntries(bed)).toMatchObject([{ job: '@rebuild', archives: [daily(18), daily(19)] }]);
});

/** Three entries below two names, one of which is no UTF-8. */
function tarOf(): Buffer {
  using home = scratch();
  mkdirSync(join(home.path, 'top'));
  writeFileSync(join(home.path, 'top/file'), 'data');
  writeFileSync(below(home.path, Buffer.from([0x6e, 0xff])), '');
  const args = ['-cf', '-', '-C', home.path, 'top', '--null', '-T', '-'];
  return Buffer.from(tar(args, Buffer.from('n\xff\0', 'latin1')), 'latin1');
}

test('a link planted in the place of an archive is not read, and is named', async () => {
  const bed = await openTestLocation();
  const victim = await plantLink(bed.location.archivePath('database', daily(18)));
  const { rebuilt, faults } = await rebuildCatalogue(bed.context, request(), NO_ABORT);
  expect(rebuilt).toEqual([]);
  expect(faults).toEqual([
    { filename: daily(18), detail: expect.stringMatching(/^no manifest was made: .* is not a plain file/) },
  ]);
  expect(await victim.state()).toMatchObject({ text: 'secret' });
});
