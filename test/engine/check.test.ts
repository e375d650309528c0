import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import type { Job } from '../../src/domain/job.ts';
import { checkDrills, checkLocation, checkSources } from '../../src/engine/check.ts';
import { FakeSource, fault, NO_ABORT } from '../support/fakes.ts';
import { addBackup, addRecorded, daily, lose } from '../support/stock.ts';
import { openTestLocation, testJob } from '../support/test-location.ts';

describe('check', () => {
  test('of a location in order finds no fault', async () => {
    const bed = await openTestLocation();
    await addRecorded(bed, 1);
    const findings = await checkLocation(bed.context, NO_ABORT);
    expect(findings.length).toBeGreaterThan(0);
    expect(findings.every(({ severity }) => severity === 'info')).toBe(true);
  });

  test('tells what is lost, unreadable and orphaned, and a lack of space', async () => {
    const bed = await openTestLocation();
    await addRecorded(bed, 1);
    await lose(bed, 1);
    await addBackup(bed, daily(2), { size: 9e15 });
    await writeFile(bed.location.manifestPath(daily(3)), 'damaged');
    await writeFile(join(bed.root, 'database', daily(4)), 'x');
    const findings = await checkLocation(bed.context, NO_ABORT);
    const faults = findings.filter(({ severity }) => severity !== 'info');
    expect(faults.map(({ severity, code }) => `${severity} ${code}`).toSorted()).toEqual([
      // One lost, and one that has not the size its manifest says.
      'error ARCHIVE_MISSING',
      'error ARCHIVE_MISSING',
      'error MANIFEST_CORRUPT',
      'error SPACE_LOW',
      'warning ARCHIVE_UNKNOWN',
    ]);
    for (const { hint } of faults) expect(hint).not.toBe('');
  });

  test('of drills warns where what they restore could reach the backups', async () => {
    const found = async (uid: number | undefined, drill: Job['drill'] = 'each'): Promise<unknown> => {
      const bed = await openTestLocation({ restoring: { drillUserId: async () => uid } });
      const jobs = [testJob(drill === undefined ? {} : { drill })];
      return (await checkDrills(bed.context, jobs, NO_ABORT)).map(({ severity, code, path }) => ({
        severity,
        code,
        path,
      }));
    };
    const own = process.geteuid?.() ?? 0;
    const warned = [{ severity: 'warning', code: 'DRILL_UNCONFINED', path: 'nightly.drill' }];
    expect(await found(own)).toEqual(warned);
    expect(await found(own, { schedule: '0 5 * * 0' })).toEqual(warned);
    expect(await found(own + 1)).toEqual([]);
    // On another server, and where nothing is drilled.
    expect(await found(undefined)).toEqual([]);
    const bed = await openTestLocation();
    expect(await checkDrills(bed.context, [testJob()], NO_ABORT)).toEqual([]);
  });

  test('of the sources names each finding by job and source, and goes on after one that throws', async () => {
    const broken = new FakeSource({
      name: 'broken',
      preflight: () => {
        throw new BackupError('SERVER_AUTH', 'no', { hint: 'Look at the password.' });
      },
    });
    const sources = [broken, new FakeSource({ preflight: () => [fault('UNREADABLE', 'table a')] })];
    const findings = await checkSources([testJob({ sources })], NO_ABORT);
    expect(findings).toMatchObject([
      { severity: 'error', code: 'SERVER_AUTH', path: 'nightly.broken: database' },
      { severity: 'error', code: 'UNREADABLE', path: 'nightly.app: somewhere' },
    ]);
    expect(await checkSources([testJob()], NO_ABORT)).toMatchObject([{ severity: 'info', code: 'OK' }]);
  });
});
