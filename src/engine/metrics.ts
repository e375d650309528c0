import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Every metric of cofre, in a registry of its own. docs/metrics.md describes each; a test compares. */
export class Metrics {
  readonly registry = new Registry();

  readonly buildInfo = this.#gauge('cofre_build_info', 'Always 1; the labels say what runs.', [
    'version',
    'node',
  ]);
  readonly configReload = this.#gauge(
    'cofre_config_last_reload_successful',
    'Whether the configuration was valid when it was last loaded: 1 or 0.',
  );
  readonly runs = this.#counter('cofre_runs_total', 'Runs of a job by outcome, from the journal.', [
    'job',
    'outcome',
  ]);
  readonly runDuration = new Histogram({
    name: 'cofre_run_duration_seconds',
    help: 'Duration of the runs of a job.',
    labelNames: ['job'],
    buckets: [1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600],
    registers: [this.registry],
  });
  readonly jobLastSuccess = this.#gauge(
    'cofre_job_last_success_timestamp_seconds',
    'When the last run of a job that succeeded ended.',
    ['job'],
  );
  readonly jobNextRun = this.#gauge('cofre_job_next_run_timestamp_seconds', 'The next due time of a job.', [
    'job',
  ]);
  readonly jobOverdue = this.#gauge(
    'cofre_job_overdue',
    'Whether a due time older than grace and usual duration has no success after it: 1 or 0.',
    ['job'],
  );
  readonly jobMissedRuns = this.#counter(
    'cofre_job_missed_runs_total',
    'Due times that passed without a run of their own.',
    ['job'],
  );
  readonly archiveLastSize = this.#gauge('cofre_archive_last_size_bytes', 'Size of the newest archive.', [
    'source',
    'type',
  ]);
  readonly archiveLastRaw = this.#gauge(
    'cofre_archive_last_raw_bytes',
    'Size of the newest archive before compression.',
    ['source', 'type'],
  );
  readonly archives = this.#gauge('cofre_archives', 'Archives in the catalogue.', ['source', 'type']);
  readonly locationBytes = this.#gauge('cofre_location_bytes', 'Bytes of all archives in the catalogue.');
  readonly locationFree = this.#gauge(
    'cofre_location_free_bytes',
    'Free bytes on the file system of the location.',
  );
  readonly verifications = this.#counter(
    'cofre_verify_total',
    'Verifications of archives by result: ok or fault.',
    ['source', 'result'],
  );
  readonly verifyLastSuccess = this.#gauge(
    'cofre_verify_last_success_timestamp_seconds',
    'When an archive of the source was last found intact.',
    ['source'],
  );
  readonly pruned = this.#counter('cofre_pruned_total', 'Archives removed by retention, from the journal.', [
    'source',
  ]);
  readonly pruneLastSuccess = this.#gauge(
    'cofre_prune_last_success_timestamp_seconds',
    'When retention last ran without an error.',
  );
  readonly anomalies = this.#counter(
    'cofre_anomalies_total',
    'Archives whose contents shrank against their series, from the journal.',
    ['source', 'kind'],
  );
  readonly drills = this.#counter('cofre_drill_total', 'Drills by verdict, from the journal.', [
    'source',
    'verdict',
  ]);
  readonly drillLastSuccess = this.#gauge(
    'cofre_drill_last_success_timestamp_seconds',
    'When an archive of the source was last proven to restore.',
    ['source'],
  );
  readonly drillDuration = this.#gauge(
    'cofre_drill_duration_seconds',
    'The recovery time that the latest proof of the source measured.',
    ['source'],
  );
  readonly notifications = this.#counter(
    'cofre_notifications_total',
    'Notifications by result: sent, or failed when every attempt did.',
    ['notifier', 'result'],
  );
  readonly runsInProgress = this.#gauge('cofre_runs_in_progress', 'Runs under way in this process.');
  readonly errors = this.#counter('cofre_errors_total', 'Errors by the step they befell.', ['step']);

  #gauge(name: string, help: string, labelNames: string[] = []): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }
}
