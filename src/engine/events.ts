import { formatDuration } from '../domain/duration.ts';
import { parseArchiveName } from '../domain/archive-name.ts';
import { describeAnomaly } from '../domain/anomaly.ts';
import type { BackupError } from '../domain/errors.ts';
import {
  isTask,
  type JournalEntry,
  PRUNE_TASK,
  type RunEnded,
  type RunStarted,
} from '../domain/journal-entry.ts';
import type { Anomaly, Manifest, Proof } from '../domain/manifest.ts';
import type { Finding } from '../domain/ports.ts';
import { formatSize } from '../domain/size.ts';
import type { Logger } from '../lib/log.ts';
import type { Metrics } from './metrics.ts';

/** Where in the work an error happened: the label of `cofre_errors_total`. */
export const STEPS = [
  'preflight',
  'capture',
  'verify',
  'commit',
  'hook',
  'prune',
  'scrub',
  'drill',
  'restore',
  'journal',
  'index',
  'schedule',
  'reload',
  'http',
  'notify',
  'run',
] as const;
export type Step = (typeof STEPS)[number];

/** Who and what an event belongs to. */
export interface Scope {
  job: string;
  run: string;
  actor: string;
  source?: string;
}

/** Each event writes its log line and its metric together, so that the two never disagree. */
export class Events {
  readonly #log: Logger;
  readonly #metrics: Metrics;

  constructor(log: Logger, metrics: Metrics) {
    this.#log = log;
    this.#metrics = metrics;
    for (const step of STEPS) metrics.errors.inc({ step }, 0);
  }

  /** What the journal tells counts once, whichever process ran it and across restarts. */
  journaled(entry: JournalEntry): void {
    if (entry.event !== 'ended') return;
    if (entry.job === PRUNE_TASK) {
      for (const filename of entry.removed ?? []) {
        this.#metrics.pruned.inc({ source: parseArchiveName(filename)?.source ?? 'unknown' });
      }
    }
    for (const { filename, verdict } of entry.drills ?? []) {
      this.#metrics.drills.inc({ source: parseArchiveName(filename)?.source ?? 'unknown', verdict });
    }
    for (const { filename, kinds } of entry.anomalies ?? []) {
      const source = parseArchiveName(filename)?.source ?? 'unknown';
      for (const kind of kinds) this.#metrics.anomalies.inc({ source, kind });
    }
    if (isTask(entry.job)) return;
    this.#metrics.runs.inc({ job: entry.job, outcome: entry.outcome });
    if (entry.missed !== undefined && entry.missed > 0) {
      this.#metrics.jobMissedRuns.inc({ job: entry.job }, entry.missed);
    }
    if (entry.outcome === 'succeeded' || entry.outcome === 'incomplete') {
      this.#metrics.runDuration.observe({ job: entry.job }, entry.duration_ms / 1000);
    }
  }

  runStarted(entry: RunStarted): void {
    this.#metrics.runsInProgress.inc();
    const { job, run, actor, trigger, due, sources } = entry;
    this.#log.info({ job, run, actor, trigger, due, sources, step: 'start' }, `run of ${job} started`);
  }

  runEnded(entry: RunEnded): void {
    this.#metrics.runsInProgress.dec();
    const { job, run, actor, outcome, duration_ms, archives } = entry;
    const fields = { job, run, actor, outcome, duration_ms, archives, step: 'end' };
    const text = `run of ${job} ${outcome} after ${formatDuration(duration_ms)}`;
    if (outcome === 'failed') this.#log.error(fields, text);
    else if (outcome === 'succeeded') this.#log.info(fields, text);
    else this.#log.warn(fields, text);
  }

  /** A due time without a run: the reason stands in its error. */
  runSkipped(entry: RunEnded): void {
    const { job, run, actor, due, missed } = entry;
    const why = entry.errors[0]?.message ?? 'skipped';
    this.#log.warn({ job, run, actor, due, missed, step: 'schedule' }, `run of ${job} skipped: ${why}`);
  }

  runsMissed(job: string, missed: number, due: Date): void {
    this.#log.warn(
      { job, missed, due, step: 'schedule' },
      `${missed} due time(s) of ${job} passed without a run`,
    );
  }

  clockStepped(job: string, lastDue: Date, now: Date): void {
    this.#log.warn(
      { job, lastDue, now, step: 'schedule' },
      `the clock was set back: ${job} is scheduled from now on, not from its last due time`,
    );
  }

  runInterrupted(entry: RunEnded): void {
    const { job, run, due } = entry;
    this.#log.error({ job, run, due, step: 'recover' }, `an earlier run of ${job} died before its end`);
  }

  /** A finding that does not stop the run; those that do are told by `failed`. */
  preflightFinding(scope: Scope, finding: Finding): void {
    const fields = {
      ...scope,
      step: 'preflight',
      code: finding.code,
      path: finding.path,
      hint: finding.hint,
    };
    if (finding.severity === 'warning') this.#log.warn(fields, finding.message);
    else this.#log.debug(fields, finding.message);
  }

  captureStarted(scope: Scope, filename: string): void {
    this.#log.info({ ...scope, step: 'capture', filename }, `writing ${filename}`);
  }

  captureRetried(scope: Scope, error: BackupError, attempt: number, delay_ms: number): void {
    this.#log.warn(
      { ...scope, step: 'capture', code: error.code, attempt },
      `${error.message}; trying again in ${formatDuration(delay_ms)}`,
    );
  }

  /** @param verify_ms how long reading the archive again took, where that was all that was done. */
  archiveVerified(scope: Scope, filename: string, ok: boolean, detail: string, verify_ms?: number): void {
    this.#metrics.verifications.inc({ source: scope.source ?? 'unknown', result: ok ? 'ok' : 'fault' });
    const fields = { ...scope, step: 'verify', filename, verify_ms };
    if (ok) this.#log.info(fields, `${filename} verified: ${detail}`);
    else this.#log.error(fields, `${filename} is faulty: ${detail}`);
  }

  /** Its metrics come from the journal and from the manifests. */
  archiveDrilled(scope: Scope, filename: string, { verdict, detail, duration_ms, versions }: Proof): void {
    const fields = { ...scope, step: 'drill', filename, verdict, duration_ms, versions };
    const text = `${filename} ${verdict}: ${detail}`;
    if (verdict === 'proven') this.#log.info(fields, text);
    else if (verdict === 'failed') this.#log.error(fields, text);
    else this.#log.warn(fields, text);
  }

  restoreStarted(scope: Scope, filename: string): void {
    this.#log.info({ ...scope, step: 'restore', filename }, `restoring ${filename}`);
  }

  /** @param differences What stands there now and should not, in words. */
  restoreEnded(scope: Scope, filename: string, target: string, differences: readonly string[]): void {
    const fields = { ...scope, step: 'restore', filename, target, differences };
    if (differences.length === 0) this.#log.info(fields, `restored ${filename} into ${target}`);
    else {
      this.#metrics.errors.inc({ step: 'restore' });
      this.#log.error(fields, `restored ${filename} into ${target}, which is not as it was recorded`);
    }
  }

  scratchSwept(name: string): void {
    this.#log.warn(
      { step: 'sweep', name },
      `removed what a drill, a restore or a dump that died had left: ${name}`,
    );
  }

  /** @param what is still there, and why, for people. */
  scratchLeft(what: string): void {
    this.#log.warn({ step: 'drill' }, what);
  }

  archiveAdded(scope: Scope, manifest: Manifest): void {
    const { filename, size, raw_size, hash, duration_ms } = manifest;
    this.#log.info(
      { ...scope, step: 'commit', filename, size, raw_size, hash, duration_ms },
      `${filename} is a backup: ${formatSize(size)}, ${formatSize(raw_size)} before compression`,
    );
  }

  /** Counted when the journal tells of it. */
  anomalyFound(scope: Scope, filename: string, anomaly: Anomaly): void {
    const { baseline, findings } = anomaly;
    this.#log.warn(
      { ...scope, step: 'anomaly', filename, baseline, findings },
      `${filename} holds less than ${baseline}: ${describeAnomaly(anomaly)}`,
    );
  }

  anomalyAcknowledged(filename: string, source: string, actor: string): void {
    this.#log.info(
      { source, actor, step: 'anomaly', filename },
      `the anomaly of ${filename} is acknowledged`,
    );
  }

  /** What stood in the way of comparing an archive with its series. */
  notCompared(scope: Scope, filename: string, { code, path, hint, message }: BackupError): void {
    this.#log.warn(
      { ...scope, step: 'anomaly', filename, code, path, hint },
      `${filename} cannot be compared with its series: ${message}`,
    );
  }

  entriesChanged(scope: Scope, filename: string, changed: number, incomplete: number): void {
    this.#log.warn(
      { ...scope, step: 'capture', filename, changed, incomplete },
      `${changed} entries changed while read, ${incomplete} could not be read whole; see the contents of ${filename}`,
    );
  }

  pruneDecided(scope: Scope, filename: string, reasons: readonly string[]): void {
    this.#log.info(
      { ...scope, step: 'prune', filename, reasons },
      `${filename} removed: ${reasons.join('; ')}`,
    );
  }

  leftoverSwept(source: string, filename: string): void {
    this.#log.warn({ source, step: 'sweep', filename }, `removed the unfinished archive ${filename}`);
  }

  deletionFinished(filename: string): void {
    this.#log.warn({ step: 'sweep', filename }, `finished the interrupted deletion of ${filename}`);
  }

  orphanFound(filename: string): void {
    this.#log.warn(
      { step: 'sweep', filename },
      `${filename} has no manifest: it is not counted as a backup and is left alone`,
    );
  }

  manifestUnreadable(error: BackupError): void {
    this.#log.error({ step: 'sweep', code: error.code, path: error.path, hint: error.hint }, error.message);
  }

  journalTorn(lines: number): void {
    this.#log.warn(
      { step: 'journal', lines },
      `${lines} line(s) of the journal cannot be read and are ignored`,
    );
  }

  /** The configuration that is in use was valid when it was loaded. */
  configLoaded(): void {
    this.#metrics.configReload.set(1);
  }

  /** @param jobs The names of the jobs it has. */
  configReloaded(jobs: readonly string[]): void {
    this.configLoaded();
    this.#log.info({ step: 'reload', jobs }, 'the configuration was reloaded');
  }

  /** A change of this key that a reload cannot make. */
  restartNeeded(key: string): void {
    this.#log.warn({ step: 'reload', key }, `a change of \`${key}\` takes effect at the next start`);
  }

  configRefused(error: BackupError): void {
    this.#metrics.configReload.set(0);
    this.failed('reload', {}, error);
    this.#log.error({ step: 'reload' }, 'the new configuration was not taken over: the old one goes on');
  }

  /** An error that ends a step; what it means for the run is said by the run's end. */
  failed(step: Step, scope: Partial<Scope>, error: BackupError): void {
    this.#metrics.errors.inc({ step });
    const { code, hint, path, cause } = error;
    // The stack is for faults of ours; a user's fault is told by message and hint.
    const stack = code === 'INTERNAL' && cause instanceof Error ? cause.stack : undefined;
    this.#log.error({ ...scope, step, code, hint, path, stack }, error.message);
  }
}
