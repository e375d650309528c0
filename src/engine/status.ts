import { openAnomaly } from '../domain/anomaly.ts';
import { nextDue } from '../domain/cron.ts';
import { fireTime } from '../domain/due.ts';
import { isFarAhead } from '../domain/far-ahead.ts';
import { type BackupError, toBackupError } from '../domain/errors.ts';
import {
  type HealthReport,
  type JobHealth,
  problemsOf,
  type ProofHealth,
  type SeriesHealth,
  warningsOf,
} from '../domain/health.ts';
import type { JobHistory } from '../domain/job-history.ts';
import { PRUNE_TASK } from '../domain/journal-entry.ts';
import { ANOMALY_KINDS, OUTCOMES, type ManifestSummary, VERDICTS } from '../domain/manifest.ts';
import { proofsBySource, type SeriesProofs } from '../domain/proofs.ts';
import { overdueSince, usualDuration } from '../domain/overdue.ts';
import type { EngineContext } from './context.ts';
import type { Metrics } from './metrics.ts';
import type { ScheduledJob } from './scheduled-job.ts';

/** What is said about the location from outside: the health report and the gauges, from one view of it. */
export class Status {
  readonly #context: EngineContext;
  readonly #metrics: Metrics;
  readonly #startedAt: Date;
  /** Where the time since start is taken from; the wall clock may be set. */
  readonly #startedTicks_ms = performance.now();

  constructor(context: EngineContext, metrics: Metrics) {
    this.#context = context;
    this.#metrics = metrics;
    this.#startedAt = context.clock.now();
  }

  /** @param running the names of the jobs under way in this process. */
  async health(jobs: readonly ScheduledJob[], running: ReadonlySet<string>): Promise<HealthReport> {
    await this.#context.journal.refresh();
    const now = this.#context.clock.now();
    const jobsHealth = jobs.map((scheduled) => this.#jobHealth(scheduled, now, running));
    const fault = await this.#locationFault();
    const manifests = fault === undefined ? this.#context.catalogue.list() : [];
    const newest = [...newestOf(manifests, now).values()];
    const proofs = proofsBySource(manifests);
    const series = await Promise.all(
      newest.map(async (each) =>
        seriesHealth(each, await this.#isStored(each), proofHealth(proofs.get(each.newest.source), now)),
      ),
    );
    const problems = [...(fault === undefined ? [] : [fault.message]), ...problemsOf(jobsHealth, series)];
    return {
      status: problems.length === 0 ? 'ok' : 'failing',
      version: this.#context.version,
      uptime: Math.floor((performance.now() - this.#startedTicks_ms) / 1000),
      problems,
      warnings: [...this.#warnings(), ...warningsOf(series)],
      jobs: jobsHealth,
      series,
    };
  }

  /** The jobs that are overdue, with the oldest due time that no success has followed. */
  overdue(jobs: readonly ScheduledJob[]): { job: string; since: string }[] {
    const now = this.#context.clock.now();
    return jobs.flatMap((scheduled) => {
      const history = this.#context.journal.histories.of(scheduled.job.name);
      const since = this.#overdueSince(scheduled, history, now);
      return since === undefined ? [] : [{ job: scheduled.job.name, since: since.toISOString() }];
    });
  }

  /** Sets every gauge that is derived from the location, so that a scrape is right also after a restart. */
  async updateGauges(jobs: readonly ScheduledJob[]): Promise<void> {
    const metrics = this.#metrics;
    await this.#context.journal.refresh();
    const now = this.#context.clock.now();
    metrics.buildInfo.set({ version: this.#context.version, node: process.version }, 1);
    for (const gauge of [metrics.jobLastSuccess, metrics.jobNextRun, metrics.jobOverdue]) gauge.reset();
    for (const { job, cron } of jobs) {
      const labels = { job: job.name };
      for (const outcome of OUTCOMES) metrics.runs.inc({ ...labels, outcome }, 0);
      metrics.jobMissedRuns.inc(labels, 0);
      const history = this.#context.journal.histories.of(job.name);
      const lastSuccess = history.lastSuccess;
      if (lastSuccess !== undefined) metrics.jobLastSuccess.set(labels, Date.parse(lastSuccess.at) / 1000);
      if (job.enabled) {
        metrics.jobNextRun.set(
          labels,
          fireTime(cron, job.name, nextDue(cron, now), job.jitter_ms).getTime() / 1000,
        );
      }
      metrics.jobOverdue.set(labels, this.#overdueSince({ job, cron }, history, now) === undefined ? 0 : 1);
    }
    const prunedAt = this.#context.journal.histories.of(PRUNE_TASK).lastSuccess?.at;
    // Absent rather than 0 before the first time: nobody wants an alert that says 56 years.
    if (prunedAt === undefined) metrics.pruneLastSuccess.remove();
    else metrics.pruneLastSuccess.set(Date.parse(prunedAt) / 1000);
    // Without its location the daemon still answers, and then says nothing of the archives.
    if ((await this.#locationFault()) === undefined) await this.#updateArchiveGauges(now);
    else for (const gauge of [metrics.locationBytes, metrics.locationFree]) gauge.remove();
  }

  async #locationFault(): Promise<BackupError | undefined> {
    return await this.#context.location.assertUsable().then(
      () => undefined,
      (error: unknown) => toBackupError(error),
    );
  }

  async #isStored({ newest: { type, filename, size } }: Series): Promise<boolean> {
    return (await this.#context.store.stat(`${type}/${filename}`))?.size === size;
  }

  /** What the last prune could not do. It is repeated by the next, so it concerns today. */
  #warnings(): string[] {
    const errors = this.#context.journal.histories.of(PRUNE_TASK).lastEnded?.errors ?? [];
    return errors.map(({ message }) => message);
  }

  async #updateArchiveGauges(now: Date): Promise<void> {
    const metrics = this.#metrics;
    const manifests = this.#context.catalogue.list();
    const gauges = [
      metrics.archives,
      metrics.archiveLastSize,
      metrics.archiveLastRaw,
      metrics.verifyLastSuccess,
      metrics.drillLastSuccess,
      metrics.drillDuration,
    ];
    for (const gauge of gauges) gauge.reset();
    for (const { newest, archives, verifiedAt_ms } of newestOf(manifests, now).values()) {
      const { source, type } = newest;
      metrics.archives.set({ source, type }, archives);
      metrics.archiveLastSize.set({ source, type }, newest.size);
      metrics.archiveLastRaw.set({ source, type }, newest.raw_size);
      metrics.pruned.inc({ source }, 0);
      for (const kind of ANOMALY_KINDS) metrics.anomalies.inc({ source, kind }, 0);
      for (const result of ['ok', 'fault']) metrics.verifications.inc({ source, result }, 0);
      for (const verdict of VERDICTS) metrics.drills.inc({ source, verdict }, 0);
      if (verifiedAt_ms > 0) metrics.verifyLastSuccess.set({ source }, verifiedAt_ms / 1000);
    }
    for (const [source, { proven }] of proofsBySource(manifests)) {
      if (proven === undefined) continue;
      metrics.drillLastSuccess.set({ source }, Date.parse(proven.proof.at) / 1000);
      metrics.drillDuration.set({ source }, proven.proof.duration_ms / 1000);
    }
    metrics.locationBytes.set(manifests.reduce((sum, { size }) => sum + size, 0));
    metrics.locationFree.set((await this.#context.location.space()).free_bytes);
  }

  #jobHealth({ job, cron }: ScheduledJob, now: Date, running: ReadonlySet<string>): JobHealth {
    const history = this.#context.journal.histories.of(job.name);
    const overdue = this.#overdueSince({ job, cron }, history, now);
    const next = fireTime(cron, job.name, nextDue(cron, now), job.jitter_ms);
    return {
      job: job.name,
      enabled: job.enabled,
      last_success: history.lastSuccess?.at ?? null,
      last_outcome: history.lastEnded?.outcome ?? null,
      last_run_at: history.lastEnded?.at ?? null,
      next_run: job.enabled ? next.toISOString() : null,
      overdue: overdue !== undefined,
      overdue_since: overdue?.toISOString() ?? null,
      running: running.has(job.name),
    };
  }

  #overdueSince({ job, cron }: ScheduledJob, history: JobHistory, now: Date): Date | undefined {
    if (!job.enabled) return undefined;
    const baseline = history.seen === undefined ? this.#startedAt : new Date(history.seen.at);
    const lastSuccess = history.lastSuccess === undefined ? undefined : new Date(history.lastSuccess.at);
    const patience_ms = job.grace_ms + usualDuration(history.durations_ms);
    return overdueSince(cron, baseline, lastSuccess, now, patience_ms, job.jitter_ms);
  }
}

interface Series {
  newest: ManifestSummary;
  archives: number;
  /** The latest successful verification of any archive of the source. */
  verifiedAt_ms: number;
  /** Filenames of those whose latest verification failed. */
  faulty: string[];
}

/**
 * One entry a source, from manifests given oldest first. One dated later than the clock, written under a wrong
 * one, is the newest only where there is no other.
 */
function newestOf(manifests: readonly ManifestSummary[], now: Date): Map<string, Series> {
  const series = new Map<string, Series>();
  for (const manifest of manifests) {
    const known = series.get(manifest.source);
    const at_ms = manifest.verification.ok ? Date.parse(manifest.verification.at) : 0;
    const isFuture = isFarAhead(new Date(manifest.created_at), now);
    const faulty = known?.faulty ?? [];
    if (!manifest.verification.ok) faulty.push(manifest.filename);
    series.set(manifest.source, {
      newest: known !== undefined && isFuture ? known.newest : manifest,
      archives: (known?.archives ?? 0) + 1,
      verifiedAt_ms: Math.max(known?.verifiedAt_ms ?? 0, at_ms),
      faulty,
    });
  }
  return series;
}

/** Null before the first drill. */
function proofHealth(proofs: SeriesProofs | undefined, now: Date): ProofHealth | null {
  if (proofs?.latest === undefined) return null;
  const { latest, proven, newestFailed, failed } = proofs;
  const age_ms = proven === undefined ? undefined : now.getTime() - Date.parse(proven.proof.at);
  return {
    filename: latest.filename,
    verdict: latest.proof.verdict,
    at: latest.proof.at,
    proven_at: proven?.proof.at ?? null,
    proven_age: age_ms === undefined ? null : Math.max(0, Math.floor(age_ms / 1000)),
    recovery_ms: proven?.proof.duration_ms ?? null,
    failing: newestFailed,
    failed,
  };
}

function seriesHealth(
  { newest, archives, faulty }: Series,
  isStored: boolean,
  proof: ProofHealth | null,
): SeriesHealth {
  const anomaly = openAnomaly(newest);
  return {
    source: newest.source,
    archives,
    newest: newest.filename,
    newest_at: newest.created_at,
    verified: newest.verification.ok && isStored,
    verified_at: newest.verification.at,
    missing: !isStored,
    anomaly: anomaly === undefined ? null : { baseline: anomaly.baseline, findings: anomaly.findings },
    faulty,
    proof,
  };
}
