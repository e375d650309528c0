import { mkdir, mkdtemp, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type Cluster, findServerPrograms, startCluster } from '../tools/cluster.ts';
import { alternate, type Contestant, type Sample } from './alternate.ts';
import { measure } from './measure.ts';
import { Program } from './program.ts';
import { makeShop } from './shop-database.ts';

const SHOP = 'shop';
/** What one area at most needs at a time at scale 1: data, archives and what the peers write. */
const SPACE_BYTES = 8e9;
/** No checkpoint and no vacuum in the middle of a run, and no waiting for WAL while data are made. */
const CLUSTER_SETTINGS = {
  shared_buffers: '512MB',
  max_wal_size: '4GB',
  checkpoint_timeout: '1h',
  autovacuum: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
};

export interface WorkbenchOptions {
  /** Everything is made below it. */
  parent: string;
  runs: number;
  scale: number;
  signal: AbortSignal;
}

/** A directory and a cluster that exist for one bench. Disposing removes them. */
export class Workbench implements AsyncDisposable {
  readonly program: Program;
  readonly runs: number;
  readonly scale: number;
  readonly signal: AbortSignal;
  readonly #parent: string;
  readonly #root: string;
  #directory: string;
  #cluster: Promise<Cluster> | undefined;
  #shop: Promise<void> | undefined;

  private constructor(root: string, { parent, runs, scale, signal }: WorkbenchOptions) {
    this.#root = root;
    this.#directory = root;
    this.program = new Program(signal);
    this.runs = runs;
    this.scale = scale;
    this.signal = signal;
    this.#parent = parent;
  }

  /** Throws when the parent has too little space. */
  static async open(options: WorkbenchOptions): Promise<Workbench> {
    const { bavail, bsize } = await statfs(options.parent);
    const needed = SPACE_BYTES * options.scale;
    if (bavail * bsize < needed) {
      throw new Error(
        `${options.parent} has less than ${Math.ceil(needed / 1e9)} GB free: name another --directory`,
      );
    }
    return new Workbench(await mkdtemp(join(options.parent, 'cofre-bench-')), options);
  }

  /** Whether there is what a cluster needs. */
  static get hasServer(): boolean {
    return findServerPrograms() !== undefined;
  }

  /** Started when it is first asked for. */
  async cluster(): Promise<Cluster> {
    // Beside our directory, which the user of the server may not enter.
    this.#cluster ??= this.#startCluster();
    return await this.#cluster;
  }

  /** The database of the comparisons, made when it is first asked for. */
  async shop(): Promise<{ url: string; cluster: Cluster }> {
    const cluster = await this.cluster();
    if (this.#shop === undefined) note('making the database of the comparisons');
    this.#shop ??= makeShop(cluster, SHOP, this.scale);
    await this.#shop;
    this.signal.throwIfAborted();
    return { url: cluster.urlOf(SHOP), cluster };
  }

  /** Of the area that is at work. */
  get directory(): string {
    return this.#directory;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Gives an area a directory, and removes it with all that the area left there. */
  async within<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.#directory = join(this.#root, name);
    await mkdir(this.directory);
    try {
      return await work();
    } finally {
      await rm(this.directory, { recursive: true, force: true });
      this.#directory = this.#root;
    }
  }

  async alternate(...contestants: Contestant[]): Promise<Sample[][]> {
    return await alternate(contestants, this.runs, () => this.#settle());
  }

  async #startCluster(): Promise<Cluster> {
    const cluster = await startCluster({ parent: this.#parent, settings: CLUSTER_SETTINGS });
    // Data that are being made when the bench is stopped would hold it up for long.
    this.signal.addEventListener('abort', () => void cluster[Symbol.asyncDispose](), { once: true });
    return cluster;
  }

  /** What was written before is on the disk afterwards. */
  async #settle(): Promise<void> {
    await measure(['sync', '-f', this.directory], { signal: this.signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const cluster = await this.#cluster?.catch(() => undefined);
    await cluster?.[Symbol.asyncDispose]();
    await rm(this.#root, { recursive: true, force: true });
  }
}

/** Says on stderr what goes on. */
export function note(text: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);
}
