import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunOptions } from './cofre.ts';
import { ROOT } from './cofre.ts';

/** A file system of its own that fills up, gone when the scope ends. */
export interface SmallDisk extends Disposable {
  readonly kind: 'tmpfs' | 'simulated';
  readonly path: string;
  /** How to run the program on it. */
  readonly options: Partial<RunOptions>;
  /** Leaves not one byte. */
  fill(): void;
  /** Undoes `fill`. */
  free(): void;
}

/** A tmpfs where one may be mounted, else a directory with a preload that fails writes like a full disk. */
export function smallDisk(path: string, bytes: number, mount: boolean): SmallDisk {
  mkdirSync(path);
  return mount && mounted(path, bytes) ? new Tmpfs(path) : new Simulated(path, bytes);
}

function mounted(path: string, bytes: number): boolean {
  if (process.getuid?.() !== 0) return false;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'cofre-test', path], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

class Tmpfs implements SmallDisk {
  readonly kind = 'tmpfs';
  readonly options = {};
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  fill(): void {
    const { bavail, bsize } = statfsSync(this.path);
    writeFileSync(this.#filler(), Buffer.alloc(bavail * bsize));
  }

  free(): void {
    rmSync(this.#filler(), { force: true });
  }

  [Symbol.dispose](): void {
    execFileSync('umount', ['--lazy', this.path]);
  }

  #filler(): string {
    return join(this.path, 'filler');
  }
}

class Simulated implements SmallDisk {
  readonly kind = 'simulated';
  readonly path: string;
  readonly #bytes: number;
  #full = false;

  constructor(path: string, bytes: number) {
    this.path = path;
    this.#bytes = bytes;
  }

  get options(): Partial<RunOptions> {
    return {
      nodeArgs: ['--import', join(ROOT, 'test/support/full-disk.ts')],
      env: { COFRE_TEST_DISK_BYTES: String(this.#full ? 0 : this.#bytes) },
    };
  }

  fill(): void {
    this.#full = true;
  }

  free(): void {
    this.#full = false;
  }

  [Symbol.dispose](): void {
    // The directory goes with the workspace.
  }
}
