import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../src/domain/manifest.ts';
import type { Sample } from './alternate.ts';
import { type Command, measure, type Measured } from './measure.ts';

const ROOT = join(import.meta.dirname, '..');
/** What is published: nobody runs the sources. */
const MAIN = join(ROOT, 'dist/main.js');
/** A day that hardly comes: jobs are run by name. */
export const NEVER = '0 0 29 2 *';
const CONFIG_INVALID = 'CONFIG_INVALID';

/** A configuration with one job, and where its backups go. */
export interface Setup {
  config: string;
  location: string;
  job: string;
}

export interface SetupOptions {
  source: Record<string, unknown> & { name: string };
  compression?: 'gzip' | 'zstd';
  schedule?: string;
  /** All archives are kept when absent. */
  retention?: Record<string, unknown>;
}

/** Makes `dist` from the sources as they are now. */
export async function buildProgram(signal: AbortSignal): Promise<void> {
  await measure(['npm', 'run', '--silent', '--prefix', ROOT, 'build'], { signal });
}

/** Writes a configuration below the directory; its location is made by the first backup. */
export async function makeSetup(directory: string, name: string, options: SetupOptions): Promise<Setup> {
  const { source, compression = 'zstd', schedule = NEVER } = options;
  const { retention = { schedule: NEVER, days: 36_500 } } = options;
  const setup = {
    config: join(directory, `${name}.json`),
    location: join(directory, `${name}.location`),
    job: 'bench',
  };
  const config = {
    location: setup.location,
    jobs: { [setup.job]: { schedule, sources: [source], compression } },
    retention,
    http: { port: 0 },
  };
  await writeFile(setup.config, JSON.stringify(config, undefined, 2));
  return setup;
}

/** The program that is measured, run by the Node that runs this. */
export class Program {
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  command({ config }: Setup, ...args: string[]): Command {
    return [process.execPath, MAIN, ...args, '--config', config];
  }

  /** Throws unless it exits with 0. */
  async run(setup: Setup, ...args: string[]): Promise<Measured> {
    return await measure(this.command(setup, ...args), { env: programEnv(), signal: this.#signal });
  }

  /** What the program says against a configuration; undefined when it takes it. */
  async refusal(setup: Setup): Promise<string | undefined> {
    try {
      await this.run(setup, 'schedule', '--json');
      return undefined;
    } catch (error) {
      this.#signal.throwIfAborted();
      const { message } = error as Error;
      if (message.includes(CONFIG_INVALID)) return message;
      throw error;
    }
  }

  /** One backup; its verification does not count where the log tells how long it took. */
  async backup(setup: Setup): Promise<{ sample: Sample; manifest: Manifest }> {
    const { wall_ms, peak_bytes, stdout, stderr } = await this.run(setup, 'backup', setup.job, '--json');
    const [manifest] = (JSON.parse(stdout) as { runs: { archives: Manifest[] }[] }).runs[0]?.archives ?? [];
    if (manifest === undefined) throw new Error(`cofre backup made no archive: ${stdout}`);
    const verify_ms = verificationOf(stderr);
    const stored = { stored_bytes: manifest.size, peak_bytes };
    if (verify_ms !== undefined) {
      return { manifest, sample: { wall_ms: wall_ms - verify_ms, verify_ms, ...stored } };
    }
    const separate = await this.run(setup, 'verify', manifest.filename, '--json');
    return { manifest, sample: { wall_ms, separate_verify_ms: separate.wall_ms, ...stored } };
  }

  /** Takes away every backup. */
  async clear({ location }: Setup): Promise<void> {
    await rm(location, { recursive: true, force: true });
  }
}

/** The environment without what the program and Node take from it. */
export function programEnv(): NodeJS.ProcessEnv {
  const foreign = Object.keys(process.env).filter((key) => /^(COFRE_|NODE_OPTIONS$)/.test(key));
  return { ...Object.fromEntries(foreign.map((key) => [key, undefined])), COFRE_LOG_LEVEL: 'info' };
}

/** `verify_ms` of the log lines of verified archives, added up; undefined when none tells it. */
function verificationOf(log: string): number | undefined {
  const told = log.split('\n').flatMap((line) => verifyMsOf(line) ?? []);
  return told.length === 0 ? undefined : told.reduce((sum, ms) => sum + ms);
}

function verifyMsOf(line: string): number | undefined {
  if (!line.startsWith('{')) return undefined;
  const { verify_ms } = JSON.parse(line) as { verify_ms?: unknown };
  return typeof verify_ms === 'number' ? verify_ms : undefined;
}
