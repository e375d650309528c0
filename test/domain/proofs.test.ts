import { expect, test } from 'vitest';
import type { ManifestSummary, Verdict } from '../../src/domain/manifest.ts';
import { proofsBySource } from '../../src/domain/proofs.ts';

/** An archive of one source with the verdict of its drill, drilled at that hour. */
function drilled(filename: string, verdict?: Verdict, hour = 1, source = 'app'): ManifestSummary {
  const at = `2026-11-20T0${hour}:00:00.000Z`;
  const proof = { verdict: verdict ?? 'proven', at, duration_ms: hour, detail: '', versions: {} };
  return { filename, source, ...(verdict === undefined ? {} : { proof }) } as ManifestSummary;
}

test('a series that was never drilled has no proofs', () => {
  expect(proofsBySource([drilled('a')]).size).toBe(0);
});

test('the latest drill and the latest proof go by the time of the drill', () => {
  const proofs = proofsBySource([
    drilled('old', 'proven', 3),
    drilled('new', 'proven', 2),
    drilled('newest', 'not provable here', 4),
  ]).get('app');
  expect(proofs?.latest?.filename).toBe('newest');
  expect(proofs?.proven?.filename).toBe('old');
  expect(proofs?.newestFailed).toBe(false);
});

test('a series fails when the newest archive that could be judged failed', () => {
  const fails = (...archives: ManifestSummary[]) => proofsBySource(archives).get('app')?.newestFailed;
  expect(fails(drilled('a', 'proven'), drilled('b', 'failed'))).toBe(true);
  expect(fails(drilled('a', 'failed'), drilled('b', 'proven'))).toBe(false);
  expect(fails(drilled('a', 'failed'), drilled('b', 'not provable here'))).toBe(true);
  expect(fails(drilled('a', 'failed'), drilled('b'))).toBe(true);
});

test('every archive that failed is named, and sources are told apart', () => {
  const all = proofsBySource([
    drilled('a', 'failed'),
    drilled('b', 'proven'),
    drilled('c', 'failed', 1, 'other'),
  ]);
  expect(all.get('app')?.failed).toEqual(['a']);
  expect(all.get('other')).toMatchObject({ failed: ['c'], proven: undefined });
});
