import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { onTestFinished } from 'vitest';
import { type DiskEntry, listDisk } from './file-tree.ts';
import type { RestoreBed, RestoreRefusal } from './restore-bed.ts';

/** Where the test restores files to: gone when it is over. */
export class RestorePlace {
  readonly path = mkdtempSync('/tmp/cofre-e2e-target-');
  /** It does not exist yet. */
  readonly target = join(this.path, 'target');

  constructor() {
    onTestFinished(() => {
      openTree(this.path);
      rmSync(this.path, { recursive: true, force: true });
    });
  }

  /** Below the target and beside it, with everything that a restore could change. */
  snapshot(): DiskEntry[] {
    return listDisk(this.path, 'place');
  }

  /** The error of a restore that must fail, and change nothing here. */
  async refused(args: readonly string[], from: RestoreBed): Promise<RestoreRefusal> {
    const before = this.snapshot();
    const error = await from.refusal(args);
    if (!isDeepStrictEqual(this.snapshot(), before)) throw new Error('it was not refused soon enough');
    return error;
  }
}

/** Lets its owner remove a tree, whatever modes were restored in it. */
export function openTree(path: string): void {
  execFileSync('chmod', ['-R', 'u+rwx', path]);
}
