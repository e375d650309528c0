import {
  formatArchiveName,
  formatTimestamp,
  parseArchiveName,
  parseTimestamp,
} from '../domain/archive-name.ts';
import { BackupError, toBackupError } from '../domain/errors.ts';
import type { Job } from '../domain/job.ts';
import { type Contents, isFilesContents, isIncomplete, type Manifest } from '../domain/manifest.ts';
import type { Capture, CaptureRemarks, Inspectable, Key, Source, StagedObject } from '../domain/ports.ts';
import { formatSize } from '../domain/size.ts';
import { NEVER, sleep } from '../lib/abort.ts';
import { Meter } from '../lib/digest.ts';
import { reportAnomaly, withAnomaly } from './anomalies.ts';
import { counted, inspected } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import type { Scope, Step } from './events.ts';
import { preflight } from './preflight.ts';
import type { RunRequest } from './run-request.ts';
import { sweepStaging } from './sweep.ts';
import { verifyBytes } from './verify.ts';

const RETRY_BASE_MS = 1_000;
const RETRY_LONGEST_MS = 30_000;

/**
 * Takes one backup of one source, and returns its manifest once it is a backup. The order, which a crash may
 * cut anywhere: lock → preflight → space → write and flush → verify by reading again → name → manifest.
 * Throws when any of it fails, and then nothing that could be taken for a backup is left.
 */
export async function backupSource(
  context: EngineContext,
  job: Job,
  source: Source,
  request: RunRequest,
  signal: AbortSignal,
): Promise<Manifest> {
  const scope: Scope = { job: job.name, run: request.run, actor: request.actor, source: source.name };
  await using lock = await context.location.lock(`run.${source.name}`, signal);
  const guarded = AbortSignal.any([signal, lock.lost]);
  if (source.format === 'directory') await sweepStaging(context, scope, guarded);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await new Attempt(context, job, source, request, scope, guarded).run();
    } catch (error) {
      const fault = toBackupError(error);
      if (fault.code !== 'SERVER_UNREACHABLE' || attempt > job.retries) throw error;
      const delay_ms = Math.min(RETRY_BASE_MS * 2 ** (attempt - 1), RETRY_LONGEST_MS);
      context.events.captureRetried(scope, fault, attempt, delay_ms);
      await sleep(delay_ms, guarded);
    }
  }
}

class Attempt {
  readonly #context: EngineContext;
  readonly #job: Job;
  readonly #source: Source;
  readonly #request: RunRequest;
  readonly #scope: Scope;
  readonly #signal: AbortSignal;

  constructor(
    context: EngineContext,
    job: Job,
    source: Source,
    request: RunRequest,
    scope: Scope,
    signal: AbortSignal,
  ) {
    this.#context = context;
    this.#job = job;
    this.#source = source;
    this.#request = request;
    this.#scope = scope;
    this.#signal = signal;
  }

  async run(): Promise<Manifest> {
    const started = this.#context.clock.now();
    await this.#step('preflight', () => preflight(this.#context, this.#source, this.#scope, this.#signal));
    const filename = await this.#step('capture', () => this.#freeName());
    const written = await this.#step('capture', () => this.#write(filename));
    const { staged } = written;
    try {
      const verified = await this.#step('verify', () => this.#verified(filename, started, written));
      const manifest = await withAnomaly(this.#context, verified, this.#job.anomaly, this.#scope);
      return await this.#step('commit', () => this.#commit(staged, manifest));
    } catch (error) {
      // After a rename there is nothing to discard, and after a rejection it is kept for inspection.
      await staged.discard();
      throw error;
    }
  }

  /** The name of the run's second; when it exists already, that of the next free one. */
  async #freeName(): Promise<string> {
    const { clock, catalogue } = this.#context;
    const { type, name: source, format } = this.#source;
    const { type: compression } = this.#job.compression;
    let at = this.#request.startedAt;
    for (;;) {
      const filename = formatArchiveName({
        type,
        source,
        timestamp: formatTimestamp(at),
        format,
        compression,
      });
      if (!(await catalogue.isTaken(filename))) return filename;
      await sleep(1_000 - (clock.now().getTime() % 1_000), this.#signal);
      at = new Date(Math.max(clock.now().getTime(), at.getTime() + 1_000));
    }
  }

  async #write(filename: string): Promise<Written> {
    this.#context.events.captureStarted(this.#scope, filename);
    const failed = new AbortController();
    const signal = AbortSignal.any([this.#signal, failed.signal]);
    const capture = await this.#source.capture(signal);
    try {
      return await this.#store(filename, capture, signal);
    } catch (error) {
      // A codec reads ahead: it may have left the source waiting for bytes that do not come.
      failed.abort(error);
      // What a capture holds goes with its stream, which nobody may have begun to read.
      await capture.stream[Symbol.asyncIterator]().return?.();
      throw error;
    }
  }

  /** @param signal ends the capture, and what looks at it. */
  async #store(filename: string, capture: Capture, signal: AbortSignal): Promise<Written> {
    const { store, openCodec, openInspector } = this.#context;
    const { compression } = this.#job;
    await using inspector = await openInspector(this.#inspectable(capture), signal);
    const codec = openCodec(compression.type, { ...compression, content: this.#source.type });
    const stored = new Meter();
    let raw_size = 0;
    const raw = inspected(capture.stream, inspector, (bytes) => {
      raw_size += bytes;
      this.#request.onProgress?.({ source: this.#source.name, step: 'capture', bytes: raw_size });
    });
    const key: Key = `${this.#source.type}/${filename}`;
    const staged = await store.stage(key, stored.tap(codec.encode(raw)), this.#signal);
    try {
      const contents = withRemarks(await inspector.end(), capture.remarks());
      return { staged, capture, contents, raw_size, hash: stored.sha256() };
    } catch (error) {
      await staged.discard();
      throw error;
    }
  }

  #inspectable({ facts }: Capture): Inspectable {
    const { format, name: source } = this.#source;
    return { format, source, tool_version: facts.tool_version };
  }

  /** The manifest of an archive that was read again and found as written. */
  async #verified(filename: string, started: Date, written: Written): Promise<Manifest> {
    const { clock, events, location } = this.#context;
    const { staged, capture, contents, raw_size, hash } = written;
    const { actor, run, trigger } = this.#request;
    const job = this.#job;
    const { format, type, name: source } = this.#source;
    const { type: compression } = job.compression;
    const expected = { size: staged.size, hash, contents, compression, ...this.#inspectable(capture) };
    let bytes = 0;
    const read = counted(staged.read(this.#signal), (more) => {
      bytes += more;
      this.#request.onProgress?.({ source, step: 'verify', bytes, total_bytes: staged.size });
    });
    const from = clock.now();
    const verdict = await verifyBytes(this.#context, read, expected, job.verify, this.#signal);
    const verify_ms = elapsedSince(clock, from);
    events.archiveVerified(this.#scope, filename, verdict.ok, verdict.detail, verify_ms);
    if (!verdict.ok) {
      await staged.reject();
      throw new BackupError(
        'CONTENTS_MISMATCH',
        `${filename} was written but does not verify: ${verdict.detail}`,
        {
          path: filename,
          hint: 'It is kept beside the archives as `.<name>.failed`. Check the disk and the memory of this machine.',
        },
      );
    }
    const timestamp = parseArchiveName(filename)?.timestamp ?? formatTimestamp(started);
    const now = clock.now();
    return {
      version: 1,
      type,
      filename,
      filepath: location.archivePath(type, filename),
      size: staged.size,
      size_human: formatSize(staged.size),
      hash,
      compressed: compression !== 'none',
      encrypted: false,
      timestamp,
      created_at: (parseTimestamp(timestamp) ?? started).toISOString(),
      ...capture.facts,
      job: job.name,
      source,
      run,
      trigger,
      actor,
      compression,
      format,
      started_at: started.toISOString(),
      duration_ms: Math.max(0, now.getTime() - started.getTime()),
      raw_size,
      pinned: false,
      incomplete: isIncomplete(contents),
      contents,
      verification: { level: job.verify, ok: true, at: now.toISOString(), detail: verdict.detail },
    };
  }

  async #commit(staged: StagedObject, manifest: Manifest): Promise<Manifest> {
    this.#signal.throwIfAborted();
    await staged.commit();
    try {
      // From here on a cancellation comes too late: an archive with a name and no manifest helps nobody.
      await this.#context.catalogue.add(manifest, NEVER);
    } catch (error) {
      if (this.#context.catalogue.find(manifest.filename) === undefined)
        await this.#context.store.delete(staged.key);
      throw error;
    }
    this.#context.events.archiveAdded(this.#scope, manifest);
    reportAnomaly(this.#context, manifest, this.#scope);
    const { contents, filename } = manifest;
    if (isFilesContents(contents) && contents.changed.length + contents.incomplete.length > 0) {
      const { changed, incomplete } = contents;
      this.#context.events.entriesChanged(this.#scope, filename, changed.length, incomplete.length);
    }
    return manifest;
  }

  /** Counts and logs an error with the step it befell. */
  async #step<T>(step: Step, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const fault = toBackupError(this.#signal.aborted ? this.#signal.reason : error, this.#source.name);
      this.#context.events.failed(step, this.#scope, fault);
      throw fault;
    }
  }
}

interface Written {
  staged: StagedObject;
  capture: Capture;
  contents: Contents;
  raw_size: number;
  hash: string;
}

function withRemarks(contents: Contents, remarks: CaptureRemarks): Contents {
  return isFilesContents(contents) ? { ...contents, ...remarks } : contents;
}
