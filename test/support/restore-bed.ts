import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { ErrorDocument } from '../../src/domain/errors.ts';
import type { Manifest } from '../../src/domain/manifest.ts';
import type { RestoreReport } from '../../src/engine/restore-request.ts';
import type { Cluster } from '../../tools/cluster.ts';
import { textOf } from './dumps.ts';
import type { RunOptions } from './cofre.ts';
import { DrillBed } from './drill-bed.ts';
import type { Json } from './workspace.ts';

/** What a restore answers: a report, or an error. */
export type RestoreAnswer = Partial<RestoreReport> & { success?: boolean; error?: RestoreRefusal };

/** With `--json` an error always has a hint. */
export type RestoreRefusal = Required<Pick<ErrorDocument, 'code' | 'message' | 'hint'>> & { path?: string };

const DATABASES = 'SELECT datname, oid FROM pg_database ORDER BY 1';

/** A workspace with archives, taken once, to restore them from. */
export class RestoreBed extends DrillBed {
  #sources: Json[] = [];
  #archives = new Map<string, Manifest>();

  /** Configures the sources and backs them up. */
  async backUp(sources: Json[], rest: Json = {}): Promise<this> {
    this.#sources = sources;
    this.configureJob(sources, { compression: 'gzip', ...rest });
    this.#archives = await this.backupAll();
    return this;
  }

  /** The newest archive of a source when they were backed up. */
  of(source: string): Manifest {
    const manifest = this.#archives.get(source);
    if (manifest === undefined) throw new Error(`there is no archive of ${source}`);
    return manifest;
  }

  nameOf(source: string): string {
    return this.of(source).filename;
  }

  /** The same archives at another location, to do something to them. */
  copy(): RestoreBed {
    const bed = new RestoreBed();
    cpSync(this.location, bed.location, { recursive: true });
    bed.#sources = this.#sources;
    bed.#archives = this.#archives;
    bed.configureJob(this.#sources);
    return bed;
  }

  async restore(
    args: readonly string[],
    options: Partial<RunOptions> = {},
  ): Promise<{ status: number | null; answer: RestoreAnswer; stderr: string }> {
    const finished = await this.run(['restore', ...args], options);
    return { status: finished.status, answer: finished.json<RestoreAnswer>(), stderr: finished.stderr };
  }

  /** What a person sees of it: both streams. */
  async tell(args: readonly string[], options: Partial<RunOptions> = {}): Promise<string> {
    const env = { COFRE_LOG_LEVEL: 'silent', ...options.env };
    const { stdout, stderr } = await this.run(['restore', ...args], { ...options, text: true, env });
    return `${stdout}${stderr}`;
  }

  /** Replaces the bytes of an archive, and has its manifest made anew from them: it verifies. */
  async forge(source: string, change: (raw: Buffer) => Buffer): Promise<string> {
    const manifest = this.of(source);
    const path = this.path(manifest);
    writeFileSync(path, gzipSync(change(gunzipSync(readFileSync(path)))));
    rmSync(this.manifestPath(manifest.filename));
    const { status, stdout } = await this.run(['catalogue', 'rebuild']);
    if (status !== 0) throw new Error(`no manifest could be made:\n${stdout}`);
    return manifest.filename;
  }

  /** The same for text. */
  async forgeText(source: string, change: (text: string) => string): Promise<string> {
    return await this.forge(source, (raw) => Buffer.from(change(raw.toString())));
  }

  /** Runs a restore that must be refused; its error, once the exit status fits that. */
  async refusal(args: readonly string[], options: Partial<RunOptions> = {}): Promise<RestoreRefusal> {
    const { status, answer } = await this.restore(args, options);
    const { error } = answer;
    if (error === undefined || status !== (error.code === 'USAGE' ? 2 : 1)) {
      throw new Error(`this should have been refused; status ${status}: ${JSON.stringify(answer)}`);
    }
    return error;
  }
}

/** The same, which leaves every database of a server as it is, and makes none. */
export async function refused(
  cluster: Cluster,
  args: readonly string[],
  from: RestoreBed,
  options: Partial<RunOptions> = {},
): Promise<RestoreRefusal> {
  const before = await cluster.psql('postgres', DATABASES);
  const error = await from.refusal(args, options);
  const after = await cluster.psql('postgres', DATABASES);
  if (after !== before) throw new Error(`it was not refused soon enough: ${before}\nbecame ${after}`);
  return error;
}

/**
 * What pg_dump writes, line by line, without what may differ in a copy: the order of rows and of the roles of a
 * policy, and how casts are written.
 */
export async function dumpedLines(cluster: Cluster, database: string): Promise<string[]> {
  const text = await textOf(cluster, database);
  const lines = text.split('\n').map((line) => {
    const bare = line.replaceAll(/::[a-z ]+(?:\[\])?|[()]/g, '');
    return line.startsWith('CREATE POLICY') ? bare.split(/,? /).toSorted().join(' ') : bare;
  });
  return lines.toSorted();
}
