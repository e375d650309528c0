import { describe, expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import type { Manifest } from '../../src/domain/manifest.ts';
import { acknowledge } from '../../src/engine/acknowledge.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { backUp, dumpOf } from '../support/shrinking.ts';
import { openTestLocation, type TestLocation } from '../support/test-location.ts';

const ACTOR = 'cli:alice';

/** One full archive, and then some with nearly nothing. */
async function shrunk(count: number): Promise<{ bed: TestLocation; full: Manifest; names: string[] }> {
  const bed = await openTestLocation();
  const full = await backUp(bed, dumpOf(1000));
  const names: string[] = [];
  for (let at = 0; at < count; at += 1) names.push((await backUp(bed, dumpOf(10))).filename);
  return { bed, full, names };
}

function isOpen({ context }: TestLocation, filename: string): boolean {
  const anomaly = context.catalogue.find(filename)?.anomaly;
  return anomaly !== undefined && anomaly.acknowledged === undefined;
}

describe('an acknowledgement', () => {
  test('is recorded with who and when, and leaves everything else of the manifest as it was', async () => {
    const { bed, names } = await shrunk(1);
    const [name = ''] = names;
    const before = await bed.context.catalogue.read(name);
    expect(await acknowledge(bed.context, name, ACTOR, NO_ABORT)).toMatchObject({
      acknowledged: [name],
      heldFor: undefined,
    });
    const at = bed.clock.now().toISOString();
    expect(await bed.context.catalogue.read(name)).toEqual({
      ...before,
      anomaly: { ...before.anomaly, acknowledged: { at, actor: ACTOR } },
    });
    expect(bed.log.at(-1)).toMatchObject({ level: 'info', step: 'anomaly', filename: name, actor: ACTOR });
  });

  test('goes for those before it with the same baseline, and not for those after it', async () => {
    const { bed, full, names } = await shrunk(3);
    const [first = '', second = '', third = ''] = names;
    const result = await acknowledge(bed.context, second, ACTOR, NO_ABORT);
    expect(result).toMatchObject({ acknowledged: [first, second], heldFor: third });
    expect(result.anomaly.baseline).toBe(full.filename);
    expect(names.map((name) => isOpen(bed, name))).toEqual([false, false, true]);
  });

  test('makes that archive the one that the next is compared with', async () => {
    const { bed, names } = await shrunk(2);
    const [, newest = ''] = names;
    await acknowledge(bed.context, newest, ACTOR, NO_ABORT);
    expect(await backUp(bed, dumpOf(10))).not.toHaveProperty('anomaly');
    expect((await backUp(bed, dumpOf(1))).anomaly?.findings[0]?.detail).toBe(
      'all tables: 10 rows before, 1 now',
    );
  });

  test('a second time changes nothing, and tells who was first', async () => {
    const { bed, names } = await shrunk(1);
    const [name = ''] = names;
    await acknowledge(bed.context, name, ACTOR, NO_ABORT);
    const manifest = await bed.context.catalogue.read(name);
    bed.clock.advance(1000);
    const again = await acknowledge(bed.context, name, 'cli:bob', NO_ABORT);
    expect(again.acknowledged).toEqual([]);
    expect(again.anomaly.acknowledged?.actor).toBe(ACTOR);
    expect(await bed.context.catalogue.read(name)).toEqual(manifest);
  });

  test('that was cut short is finished by asking again', async () => {
    const { bed, names } = await shrunk(2);
    const [, newest = ''] = names;
    const { catalogue } = bed.context;
    const update = catalogue.update.bind(catalogue);
    let isCut = true;
    Object.defineProperty(catalogue, 'update', {
      value: async (...args: Parameters<typeof update>) => {
        if (isCut && args[0] === newest) throw new BackupError('DISK_FULL', 'no space');
        return await update(...args);
      },
    });
    await expect(acknowledge(bed.context, newest, ACTOR, NO_ABORT)).rejects.toThrow('no space');
    expect(names.map((name) => isOpen(bed, name))).toEqual([false, true]);
    isCut = false;
    expect((await acknowledge(bed.context, newest, ACTOR, NO_ABORT)).acknowledged).toEqual([newest]);
  });

  test('passes over one that is pruned meanwhile', async () => {
    const { bed, names } = await shrunk(2);
    const [first = '', newest = ''] = names;
    const { catalogue } = bed.context;
    const update = catalogue.update.bind(catalogue);
    Object.defineProperty(catalogue, 'update', {
      value: async (...args: Parameters<typeof update>) => {
        if (args[0] === first) await catalogue.remove(first, () => undefined, NO_ABORT);
        return await update(...args);
      },
    });
    expect((await acknowledge(bed.context, newest, ACTOR, NO_ABORT)).acknowledged).toEqual([newest]);
  });

  test('of an archive without an anomaly, or of none, is an error', async () => {
    const { bed, full } = await shrunk(0);
    await expect(acknowledge(bed.context, full.filename, ACTOR, NO_ABORT)).rejects.toMatchObject({
      code: 'USAGE',
      message: `${full.filename} has no anomaly to acknowledge`,
    });
    const unknown = 'db_backup_app_20200101_000000.sql.gz';
    await expect(acknowledge(bed.context, unknown, ACTOR, NO_ABORT)).rejects.toMatchObject({
      code: 'ARCHIVE_UNKNOWN',
    });
  });
});
