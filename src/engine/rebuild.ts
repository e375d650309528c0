import { Journal } from '../catalogue/journal.ts';
import { archiveKey, parseArchiveName, parseTimestamp } from '../domain/archive-name.ts';
import { BackupError, toBackupError } from '../domain/errors.ts';
import { isTask, REBUILD_TASK, type RunEnded } from '../domain/journal-entry.ts';
import type { Trigger } from '../domain/manifest.ts';
import { endedEntry, identityOf } from '../domain/run-entries.ts';
import type { EngineContext } from './context.ts';
import type { ReadProgress } from './archive-bytes.ts';
import type { Scope } from './events.ts';
import { journal, newRunId } from './journaling.ts';
import { manifestFromArchive, type Origin } from './manifest-from-archive.ts';

export interface RebuildRequest {
  trigger: Trigger;
  actor: string;
  /** The job that a source belongs to, for archives that the journal does not know. */
  jobOf: (source: string) => string | undefined;
  progress: ReadProgress;
}

export interface RebuildFault {
  filename: string;
  detail: string;
}

export interface RebuildResult {
  /** Filenames of the archives that have a manifest again. */
  rebuilt: string[];
  faults: RebuildFault[];
}

/**
 * Makes manifests for the archives that have none, from the archives alone: each is read to its end. One that does
 * not decode gets none and is a fault; so is a manifest that cannot be read, which is left alone. What is partial,
 * rejected or under deletion is not touched. Whatever interrupts it, the next rebuild goes on.
 */
export async function rebuildCatalogue(
  context: EngineContext,
  request: RebuildRequest,
  signal: AbortSignal,
): Promise<RebuildResult> {
  const startedAt = context.clock.now();
  const run = newRunId(startedAt);
  const rebuild = new Rebuild(context, request, run, await writersOf(context), signal);
  for (const fault of context.catalogue.faults()) rebuild.note(fault.path ?? '', unreadable(fault));
  for (const [source, filenames] of bySource(await context.catalogue.orphans())) {
    await rebuild.rebuildSource(source, filenames);
  }
  const { rebuilt, faults } = rebuild;
  await record(context, { ...request, run }, startedAt, faults.length === 0);
  return { rebuilt, faults };
}

class Rebuild {
  readonly rebuilt: string[] = [];
  readonly faults: RebuildFault[] = [];
  readonly #context: EngineContext;
  readonly #request: RebuildRequest;
  readonly #run: string;
  readonly #writers: ReadonlyMap<string, RunEnded>;
  readonly #signal: AbortSignal;

  constructor(
    context: EngineContext,
    request: RebuildRequest,
    run: string,
    writers: ReadonlyMap<string, RunEnded>,
    signal: AbortSignal,
  ) {
    this.#context = context;
    this.#request = request;
    this.#run = run;
    this.#writers = writers;
    this.#signal = signal;
  }

  note(filename: string, detail: string): void {
    this.faults.push({ filename, detail });
  }

  async rebuildSource(source: string, filenames: readonly string[]): Promise<void> {
    for (const filename of await this.#settled(source, filenames)) {
      const scope = { job: REBUILD_TASK, run: this.#run, actor: this.#request.actor, source };
      try {
        await this.#rebuildOne(filename, source, scope);
      } catch (error) {
        this.#signal.throwIfAborted();
        const fault = toBackupError(error, `reading ${filename}`);
        this.#context.events.failed('verify', scope, fault);
        this.note(filename, `no manifest was made: ${fault.message}`);
      }
    }
  }

  /**
   * Those that have no manifest once no backup of the source is under way: for a moment, a backup has named its
   * archive and not written its manifest yet. From then on nobody but a rebuild gives them one, so the lock is
   * not held while they are read: a backup that is due meanwhile shall not wait.
   */
  async #settled(source: string, filenames: readonly string[]): Promise<string[]> {
    try {
      await using _lock = await this.#context.location.lock(`run.${source}`, this.#signal);
      const orphans = [];
      for (const filename of filenames) {
        if (await this.#context.catalogue.isOrphan(filename)) orphans.push(filename);
      }
      return orphans;
    } catch (error) {
      if (!(error instanceof BackupError) || error.code !== 'LOCK_BUSY') throw error;
      for (const filename of filenames) {
        this.note(
          filename,
          'a backup of its source is under way: run `cofre catalogue rebuild` again after it',
        );
      }
      return [];
    }
  }

  async #rebuildOne(filename: string, source: string, scope: Scope): Promise<void> {
    const { catalogue, events, store } = this.#context;
    const { progress } = this.#request;
    const key = archiveKey(filename);
    const object = key === undefined ? undefined : await store.stat(key);
    // Deleted by hand since it was listed.
    if (object === undefined) return;
    progress.begin(filename, object.size);
    const manifest = await manifestFromArchive(
      this.#context,
      filename,
      this.#originOf(filename, source),
      (bytes) => progress.advance(bytes),
      this.#signal,
    );
    events.archiveVerified(scope, filename, true, manifest.verification.detail);
    if (!(await catalogue.adopt(manifest, this.#signal))) return;
    this.rebuilt.push(filename);
    events.archiveAdded(scope, manifest);
  }

  /** The run that wrote it, as the journal has it; else what can be said of it. */
  #originOf(filename: string, source: string): Origin {
    const writer = this.#writers.get(filename);
    if (writer !== undefined) {
      const { job, run, trigger, actor, outcome } = writer;
      return { job, run, trigger, actor, wasIncomplete: outcome === 'incomplete' };
    }
    const { trigger, actor, jobOf } = this.#request;
    const job = jobOf(source) ?? REBUILD_TASK;
    // Not the rebuild's: what one run wrote shall be seen to belong together, and bears the time of its start.
    const run = `${parseArchiveName(filename)?.timestamp ?? ''}-000000`;
    return { job, run, trigger, actor, wasIncomplete: false };
  }
}

/** The run that wrote each archive, by filename, from the beginning of the journal. */
async function writersOf({ location }: EngineContext): Promise<ReadonlyMap<string, RunEnded>> {
  const writers = new Map<string, RunEnded>();
  // One of its own: that of the context has been read, perhaps, and keeps no entries.
  const reading = new Journal(location.journal, location.owner);
  reading.onEntry((entry) => {
    if (entry.event !== 'ended' || isTask(entry.job)) return;
    for (const filename of entry.archives) writers.set(filename, entry);
  });
  await reading.refresh();
  return writers;
}

/**
 * Tells the journal of every rebuilt archive that it does not know, those of a rebuild that was interrupted too, so
 * that one which is lost later is missed.
 */
async function record(
  context: EngineContext,
  occasion: { run: string; trigger: Trigger; actor: string },
  startedAt: Date,
  succeeded: boolean,
): Promise<void> {
  await context.journal.refresh();
  const { archives: known } = context.journal.histories;
  const archives = context.catalogue
    .list()
    .filter(({ rebuilt, filename }) => rebuilt === true && !known.has(filename))
    .map(({ filename }) => filename);
  if (archives.length === 0) return;
  const identity = identityOf(REBUILD_TASK, occasion);
  const outcome = succeeded ? 'succeeded' : 'failed';
  await journal(context, endedEntry(identity, startedAt, context.clock.now(), { outcome, archives }));
}

function bySource(filenames: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const filename of filenames) {
    const name = parseArchiveName(filename);
    if (name === undefined || parseTimestamp(name.timestamp) === undefined) continue;
    const group = groups.get(name.source);
    if (group === undefined) groups.set(name.source, [filename]);
    else group.push(filename);
  }
  return groups;
}

function unreadable({ message }: BackupError): string {
  return `${message}; it is left alone: repair it from a copy, or move it away and run \`cofre catalogue rebuild\` again`;
}
