import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CLUSTER_TEMPLATE } from '../../tools/cluster.ts';
import { COMPILE_CACHE, ROOT } from './cofre.ts';

const PRINT_TIMEOUT_MS = 60_000;
/** A server that is stopped is gone a moment after pg_ctl says so. */
const GONE_TIMEOUT_MS = 20_000;

export interface Running {
  pid: number;
  /** Its command line; on Linux with NUL between the arguments. */
  args: string;
}

/** What a demo has left behind. */
export interface Leftovers {
  processes: Running[];
  /** Names in its temporary directory. */
  files: string[];
  /** The directory of its cluster, when it is still there. */
  cluster: string[];
}

/** The demo as a child, in a temporary directory of its own, with a mark in the environment of all it starts. */
export class Demo implements AsyncDisposable {
  readonly #mark = randomUUID();
  readonly #tmp = mkdtempSync(join(tmpdir(), 'cofre-e2e-'));
  readonly #child: ChildProcess;
  stdout = '';
  stderr = '';

  /** @param database for COFRE_DEMO_DATABASE. */
  constructor(database: string) {
    this.#child = spawn(process.execPath, [join(ROOT, 'demo/main.ts')], {
      cwd: this.#tmp,
      env: {
        ...process.env,
        TMPDIR: this.#tmp,
        COFRE_DEMO_DATABASE: database,
        DEMO_MARK: this.#mark,
        // It runs the sources many times: they are stripped and compiled once.
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        // The demo takes no configuration: these must not reach what it starts.
        COFRE_HTTP_PORT: '1',
        [CLUSTER_TEMPLATE]: undefined,
        PGHOST: 'nowhere.invalid',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
  }

  /** The folder it made. */
  get folder(): string {
    const name = readdirSync(this.#tmp).find((entry) => entry.startsWith('cofre-demo-'));
    if (name === undefined) throw new Error(`there is no folder: ${this.stdout}${this.stderr}`);
    return join(this.#tmp, name);
  }

  /** Resolves once it has printed a text; throws when it ends without. */
  async printed(text: string): Promise<void> {
    const printed = await until(
      () => this.stdout.includes(text) || this.#child.exitCode !== null,
      PRINT_TIMEOUT_MS,
    );
    if (!printed || !this.stdout.includes(text)) {
      throw new Error(`"${text}" was not printed: ${this.stdout}${this.stderr}`);
    }
  }

  /** Waits for its end; null when a signal ended it. */
  async exitCode(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'close');
    return this.#child.exitCode;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Everything it started that runs now. */
  processes(): Running[] {
    const marks = [this.#mark, this.#tmp, ...this.#clusterDirs()];
    return allProcesses()
      .filter(({ pid }) => pid !== this.#child.pid)
      .filter(({ args, environment }) =>
        marks.some((mark) => args.includes(mark) || environment.includes(mark)),
      )
      .map(({ pid, args }) => ({ pid, args }));
  }

  /** What is left once nothing changes for the better any more. */
  async leftovers(): Promise<Leftovers> {
    const clusterLeft = () => this.#clusterDirs().filter((path) => existsSync(path));
    await until(() => this.processes().length === 0 && clusterLeft().length === 0, GONE_TIMEOUT_MS);
    return { processes: this.processes(), files: readdirSync(this.#tmp), cluster: clusterLeft() };
  }

  /** What `leftovers` should be. */
  get onlyItsFolder(): Leftovers {
    return { processes: [], files: [basename(this.folder)], cluster: [] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill('SIGTERM');
    await this.exitCode();
    rmSync(this.#tmp, { recursive: true, force: true });
  }

  /** Where its cluster lies or lay, from the URL in its configuration; empty for an embedded database. */
  #clusterDirs(): string[] {
    return readdirSync(this.#tmp)
      .map((name) => join(this.#tmp, name, 'config.json'))
      .filter((path) => existsSync(path))
      .map((path) => /@(%2F[^"/]+)\//.exec(readFileSync(path, 'utf8'))?.[1])
      .filter((socketDir) => socketDir !== undefined)
      .map((socketDir) => dirname(decodeURIComponent(socketDir)));
  }
}

async function until(isSo: () => boolean, timeout_ms: number): Promise<boolean> {
  const end = performance.now() + timeout_ms;
  while (!isSo()) {
    if (performance.now() > end) return false;
    await delay(100);
  }
  return true;
}

function allProcesses(): (Running & { environment: string })[] {
  if (process.platform !== 'linux') {
    const lines = execFileSync('ps', ['-A', '-ww', '-o', 'pid=,args='], { encoding: 'utf8' }).split('\n');
    return lines.map((line) => ({ pid: Number.parseInt(line, 10), args: line, environment: '' }));
  }
  const numbers = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return numbers.map((pid) => ({
    pid: Number(pid),
    args: readProc(`/proc/${pid}/cmdline`),
    environment: readProc(`/proc/${pid}/environ`),
  }));
}

/** Empty for a process that has ended meanwhile, that nothing has reaped yet, or that is another user's. */
function readProc(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
