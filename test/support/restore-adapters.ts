import type { RestoreAdapters } from '../../src/engine/restore-adapters.ts';

/** Restore adapters of which only the given ones work; a test that needs another says so by failing. */
export function restoreAdapters(given: Partial<RestoreAdapters> = {}): RestoreAdapters {
  const absent = (name: string) => () => {
    throw new Error(`this test has no ${name}`);
  };
  return {
    openDatabase: absent('openDatabase'),
    openDirectory: absent('openDirectory'),
    openExaminer: absent('openExaminer'),
    openScratch: absent('openScratch'),
    openScratchCluster: absent('openScratchCluster'),
    makeScratchDirectory: absent('makeScratchDirectory'),
    sweepScratch: async () => [],
    sweepScratchDirectories: async () => [],
    drillUserId: absent('drillUserId'),
    openDump: absent('openDump'),
    openGlobals: absent('openGlobals'),
    readTree: absent('readTree'),
    ...given,
  };
}
