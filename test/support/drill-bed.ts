import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Manifest } from '../../src/domain/manifest.ts';
import type { Finished, RunOptions } from './cofre.ts';
import { descendantsOf, isAlive, type ProcessEntry } from './processes.ts';
import { InVain, waitFor } from './wait-for.ts';
import { type Json, NEVER, Workspace } from './workspace.ts';

/** Short enough not to miss an initdb. */
const POLL_MS = 8;
/** The least a drill is looked at for a moment that it must come to. */
const PATIENCE_MS = 40_000;

/** Whether a process, with all that it has started, is at a certain point of a drill. */
export type Moment = (pid: number, children: readonly ProcessEntry[]) => boolean;

/** @param pattern of the command line of something that the drill has started. */
export function running(pattern: RegExp): Moment {
  return (_pid, children) => children.some(({ command }) => pattern.test(command));
}

/** A workspace whose drills leave their traces in a directory of its own. */
export class DrillBed extends Workspace {
  readonly scratch: string;
  readonly #madeScratch: boolean;

  /** @param scratch a directory that is there already, and stays. */
  constructor(scratch?: string) {
    super();
    this.#madeScratch = scratch === undefined;
    // Where the user that runs the server in place of root gets through.
    this.scratch = scratch ?? mkdtempSync('/tmp/cofre-e2e-scratch-');
    chmodSync(this.scratch, 0o755);
    // Also for another user than the one that runs the tests.
    chmodSync(this.dir, 0o755);
  }

  /** A job `app` with these sources, which nobody but the test starts. */
  configureJob(sources: Json[], rest: Json = {}): void {
    this.configure({
      scratch: { directory: this.scratch },
      jobs: { app: { schedule: NEVER, sources, compression: 'none', ...rest } },
    });
  }

  /** Backs every source up; the manifests by source. */
  async backupAll(): Promise<Map<string, Manifest>> {
    const finished = await this.run(['backup', 'app']);
    if (finished.status !== 0) throw new Error(`no backup:\n${finished.stdout}\n${finished.stderr}`);
    const backups = await this.list();
    return new Map(backups.map((backup) => [backup.source, this.manifestOf(backup.filename)]));
  }

  manifestOf(filename: string): Manifest {
    return JSON.parse(readFileSync(this.manifestPath(filename), 'utf8')) as Manifest;
  }

  /** What drills have left in the directory, paths. */
  left(): string[] {
    return readdirSync(this.scratch).map((name) => join(this.scratch, name));
  }

  /** Whatever still runs in the directory, also when it was not told its path. */
  processes(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => isAlive(pid) && worksIn(pid, this.scratch));
  }

  /** Waits for what ends by itself once its maker is dead. */
  async waitForNoProcess(): Promise<void> {
    await waitFor('the end of everything that the drill had started', () => this.processes().length === 0);
  }

  /** What no drill that was cut short may change of a backup: its manifest, and its archive. */
  stateOf({ type, filename }: Manifest): unknown {
    const { size, mtimeMs, ino } = statSync(this.path({ type, filename }));
    return { manifest: readFileSync(this.manifestPath(filename), 'utf8'), size, mtimeMs, ino };
  }

  /** Runs a command, and does something to it once it has come to a moment. Throws when it never does. */
  async runUntil(
    args: readonly string[],
    moment: Moment,
    act: (pid: number, children: readonly ProcessEntry[]) => void,
    options: Partial<RunOptions> = {},
  ): Promise<Finished> {
    let acted: Promise<void> | undefined;
    const finished = await this.run(args, {
      ...options,
      onStart: ({ pid = -1 }) => {
        acted = whenAt(pid, moment).then((children) => act(pid, children));
        acted.catch(() => undefined);
      },
    });
    await acted?.catch((cause: unknown) => {
      throw new Error(`${args.join(' ')}:\n${finished.stdout}\n${finished.stderr}`, { cause });
    });
    return finished;
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    if (this.#madeScratch) rmSync(this.scratch, { recursive: true, force: true });
  }
}

/** Asserts that nothing of any drill is left. */
export function expectNothingLeft(bed: DrillBed): void {
  expect(bed.left()).toEqual([]);
  expect(bed.processes()).toEqual([]);
}

/** Resolves, with all that descends from a process, as soon as it is at a moment. */
export async function whenAt(pid: number, moment: Moment): Promise<readonly ProcessEntry[]> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const children = descendantsOf(pid);
    if (moment(pid, children)) return children;
    if (!isAlive(pid)) throw new InVain('it ended before it came to the moment');
    if (performance.now() > deadline) throw new Error('it never came to the moment');
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Whether a process has a file open. */
export function hasOpen(pid: number, path: string): boolean {
  try {
    const directory = `/proc/${pid}/fd`;
    return readdirSync(directory).some((name) => linkOf(join(directory, name)) === path);
  } catch {
    return false;
  }
}

function worksIn(pid: number, directory: string): boolean {
  try {
    if (linkOf(`/proc/${pid}/cwd`)?.startsWith(directory) === true) return true;
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(directory);
  } catch {
    return false;
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
