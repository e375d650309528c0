import type { Readable, Writable } from 'node:stream';
import { BackupError } from '../domain/errors.ts';
import type { DatabaseContents } from '../domain/manifest.ts';
import type { Inspector } from '../domain/ports.ts';
import { assertSucceeded, type Child, startChild } from '../lib/child.ts';
import { PlainDumpInspector } from './plain-dump.ts';

const LABEL = 'pg_restore';

export interface CustomDumpOptions {
  /** Path or name of a `pg_restore` not older than the `pg_dump` that wrote the archive. */
  pgRestore: string;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** `tar`: pg_dump's format of that name. Default: `custom`. */
  format?: 'custom' | 'tar';
}

/** What reads the plain dump that pg_restore makes of a custom one. */
export interface PlainReading {
  write(chunk: Buffer): void;
  end(): Promise<DatabaseContents>;
}

/**
 * Derives the contents of a dump in pg_dump's custom format from what `pg_restore -f -` makes of it: the
 * tables are those of a plain dump of the same data.
 */
export class CustomDumpInspector implements Inspector {
  readonly #options: CustomDumpOptions;
  readonly #plain: PlainReading;
  #running: { child: Child; stdin: Writable; pumped: Promise<void> } | undefined;

  constructor(options: CustomDumpOptions, plain: PlainReading = new PlainDumpInspector()) {
    this.#options = options;
    this.#plain = plain;
  }

  async write(chunk: Buffer): Promise<void> {
    if (chunk.length === 0) return;
    const { child, stdin } = (this.#running ??= await this.#start());
    if (!stdin.destroyed) {
      // A copy: the pipe may take it in later, and a chunk is valid during the call only.
      if (stdin.write(Buffer.from(chunk))) return;
      await writable(stdin);
    }
    // It ended before the last byte. With status 0 it has all that the table of contents promises, and
    // what follows is no part of the dump: a restore would not read it either.
    if (stdin.destroyed) await this.#assertIntact(child);
  }

  async end(): Promise<DatabaseContents> {
    if (this.#running === undefined) return await this.#plain.end();
    const { child, stdin, pumped } = this.#running;
    stdin.end();
    await pumped;
    await this.#assertIntact(child);
    return await this.#plain.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#running === undefined) return;
    const { child, pumped } = this.#running;
    child.kill();
    await child.exited;
    await pumped.catch(() => undefined);
  }

  async #start(): Promise<{ child: Child; stdin: Writable; pumped: Promise<void> }> {
    const { pgRestore, env, signal, format = 'custom' } = this.#options;
    const child = await startChild({
      command: pgRestore,
      args: ['-f', '-', ...(format === 'tar' ? ['--format=tar'] : [])],
      // Its messages are looked at: in English, then.
      env: { ...env, LC_ALL: 'C' },
      signal,
      stdin: 'pipe',
      label: LABEL,
    });
    if (child.stdin === null) throw new Error('pg_restore was started without a stdin');
    const pumped = this.#pump(child.stdout);
    // Whoever awaits it later sees the rejection; until then it must not count as unhandled.
    pumped.catch(() => undefined);
    return { child, stdin: child.stdin, pumped };
  }

  async #pump(stdout: Readable): Promise<void> {
    for await (const chunk of stdout) this.#plain.write(chunk as Buffer);
  }

  async #assertIntact(child: Child): Promise<void> {
    const { signal } = this.#options;
    const exit = await child.exited;
    const stderr = child.stderrTail();
    // A program killed, and one too old, say nothing about the archive.
    const isTooOld = stderr.includes('unsupported version');
    if (exit.code === 0 || exit.signal !== null || isTooOld) {
      assertSucceeded(LABEL, exit, stderr, signal);
      return;
    }
    signal.throwIfAborted();
    throw new BackupError('ARCHIVE_CORRUPT', `pg_restore cannot read the archive: ${stderr}`, {
      hint: 'The archive is damaged: restore from another one, take a new backup, and look for disk errors.',
    });
  }
}

/** Resolves when more bytes are welcome, or never will be. */
async function writable(stdin: Writable): Promise<void> {
  if (stdin.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      stdin.off('drain', done);
      stdin.off('close', done);
      resolve();
    };
    stdin.on('drain', done);
    stdin.on('close', done);
  });
}
