import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import { checkLocation, checkSources } from '../../src/engine/check.ts';
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
