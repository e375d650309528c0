import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type JournalEntry, parseJournalLine, type RunEnded } from '../../src/domain/journal-entry.ts';
import type { Manifest, ManifestSummary } from '../../src/domain/manifest.ts';
import { soon } from './soon.ts';
import { cofre, Daemon, type Finished, type RunOptions } from './cofre.ts';

/** Due in no test. */
export const NEVER = '0 0 29 2 *';
export const EVERY_SECOND = '* * * * * *';

export type Json = Record<string, unknown>;

/** A directory with a configuration, a tree to back up and a location, gone when the scope ends. */
export class Workspace implements Disposable {
  readonly dir: string;
  readonly config: string;
  /** Backed up by `files()`. */
  readonly tree: string;
  location: string;
  /** For every process of this workspace: what the secrets of the configuration refer to. */
  readonly env: NodeJS.ProcessEnv;

  constructor(env: NodeJS.ProcessEnv = {}) {
    this.env = env;
    this.dir = mkdtempSync(join(tmpdir(), 'cofre-e2e-'));
    this.config = join(this.dir, 'config.json');
    this.tree = join(this.dir, 'tree');
    this.location = join(this.dir, 'location');
    mkdirSync(this.tree);
    writeFileSync(join(this.tree, 'note.txt'), 'a note\n');
  }

  /** Writes the configuration: the location, a free port, maintenance that never is due, and what is given. */
  configure(config: Json): void {
    const text = JSON.stringify(
      {
        location: this.location,
        http: { port: 0 },
        ...config,
        retention: { schedule: NEVER, ...(config['retention'] as Json | undefined) },
      },
      undefined,
      2,
    );
    writeFileSync(this.config, text);
  }

  /** A job with one files source. */
  filesJob(schedule = NEVER, source = 'tree', rest: Json = {}): Json {
    return { schedule, sources: [this.files(source)], ...rest };
  }

  files(name = 'tree'): Json {
    return { type: 'files', name, directories: [this.tree] };
  }

  /**
   * A schedule that is due once, `seconds` from now. The job is known to the journal from now on, so that a
   * daemon which takes longer to start runs it late, and not in a year.
   */
  dueIn(seconds: number, job = 'app'): string {
    const schedule = soon(seconds);
    mkdirSync(this.location, { recursive: true, mode: 0o700 });
    const seen = { event: 'scheduled', at: new Date().toISOString(), job, schedule, timezone: 'UTC' };
    writeFileSync(join(this.location, 'journal.jsonl'), `${JSON.stringify(seen)}\n`, { flag: 'a' });
    return schedule;
  }

  run(args: readonly string[], options: Partial<RunOptions> = {}): Promise<Finished> {
    return cofre(args, this.#with(options));
  }

  startDaemon(options: Partial<RunOptions> = {}): Promise<Daemon> {
    return Daemon.start(this.#with(options));
  }

  /** Not waited for. */
  spawnDaemon(options: Partial<RunOptions> = {}): Daemon {
    return Daemon.spawn(this.#with(options));
  }

  /** Runs a job and returns the manifest of its one archive. Throws unless it succeeds. */
  async backup(job: string): Promise<Manifest> {
    const finished = await this.run(['backup', job]);
    const manifest = finished.json<BackupAnswer>().runs?.[0]?.archives[0];
    if (finished.status !== 0 || manifest === undefined) {
      throw new Error(`the backup of ${job} failed:\n${finished.stdout}\n${finished.stderr}`);
    }
    return manifest;
  }

  async list(): Promise<ManifestSummary[]> {
    return (await this.run(['list'])).json<{ backups: ManifestSummary[] }>().backups;
  }

  journal(): JournalEntry[] {
    const path = join(this.location, 'journal.jsonl');
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, 'utf8').split('\n');
    return lines.flatMap((line) => parseJournalLine(line) ?? []);
  }

  /** The ends of the runs of a job, oldest first. */
  ended(job: string): RunEnded[] {
    return this.journal().filter((entry) => entry.event === 'ended' && entry.job === job) as RunEnded[];
  }

  path(manifest: Pick<ManifestSummary, 'type' | 'filename'>): string {
    return join(this.location, manifest.type, manifest.filename);
  }

  manifestPath(filename: string): string {
    return join(this.location, 'manifests', `${filename}.json`);
  }

  /** Every file of the location, relative, but for lock files. */
  stored(): string[] {
    return readdirSync(this.location, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && basename(entry.parentPath) !== '.locks')
      .map((entry) => join(entry.parentPath, entry.name).slice(this.location.length + 1))
      .sort();
  }

  /** What a crash or a failure may leave, and nothing else should: partials, temporaries, deletion markers. */
  remains(): string[] {
    return this.stored().filter((path) => /\.partial$|\.tmp$|\.deleting$/.test(path));
  }

  #with(options: Partial<RunOptions>): RunOptions {
    return { config: this.config, ...options, env: { ...this.env, ...options.env } };
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export interface BackupAnswer {
  success: boolean;
  runs: {
    job: string;
    outcome: string;
    archives: Manifest[];
    errors: { code: string; message: string; hint?: string; source?: string }[];
  }[];
}

export interface VerifyAnswer {
  results: { filename: string; valid: boolean; level: string; detail: string }[];
}

export interface ErrorAnswer {
  error: { code: string; message: string; hint?: string; path?: string };
}

/** Flips one bit of one byte in the middle of a file, keeping its size. */
export function corruptByte(path: string): void {
  const bytes = readFileSync(path);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 0x01;
  writeFileSync(path, bytes);
}
