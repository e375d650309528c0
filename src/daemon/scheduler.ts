import { applyDecision, decideDue, type DueDecision, type JobScheduleState } from '../domain/due.ts';
import { toBackupError } from '../domain/errors.ts';
import type { JobSeen } from '../domain/journal-entry.ts';
import type { Outcome } from '../domain/manifest.ts';
import type { Service } from '../domain/ports.ts';
import { endedEntry, identityOf } from '../domain/run-entries.ts';
import type { EngineContext } from '../engine/context.ts';
import { journal, newRunId } from '../engine/journaling.ts';
import type { ScheduledTask } from '../engine/scheduled-task.ts';
import type { RunQueue } from './run-queue.ts';
import { Workload } from './workload.ts';

/** What the journal calls the schedule of a task that is switched off; being on again is a new schedule. */
const DISABLED = 'disabled';
const LONGEST_WAIT_MS = 30_000;

/**
 * Owns the one sleep of the daemon: wakes, asks `decideDue` for each task, carries the answers out, sleeps
 * until the next. Its state lives in memory, starts from the journal, and each change is written there.
 */
export class Scheduler implements Service {
  readonly id = 'scheduler';
  readonly #context: EngineContext;
  readonly #workload: Workload;
  readonly #states = new Map<string, JobScheduleState>();
  /** Names of the jobs that somebody asked for, until they have ended. */
  readonly #asked = new Set<string>();
  #tasks: readonly ScheduledTask[];
  #changed = true;
  #wake = new AbortController();

  constructor(context: EngineContext, queue: RunQueue, tasks: readonly ScheduledTask[]) {
    this.#context = context;
    this.#workload = new Workload(queue);
    this.#tasks = tasks;
  }

  /** Names of the tasks, and of the jobs that somebody asked for, that are queued or under way. */
  running(): ReadonlySet<string> {
    const busy = [...this.#states.values()].filter((state) => state.busy).map(({ job }) => job);
    return new Set([...busy, ...this.#asked]);
  }

  /** Takes new tasks over at once; runs under way end as they began. */
  replaceTasks(tasks: readonly ScheduledTask[]): void {
    this.#tasks = tasks;
    this.#changed = true;
    this.#wake.abort();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const until = await this.#tick();
      await this.#context.clock.sleepUntil(until, AbortSignal.any([signal, this.#wake.signal]));
    }
    await this.#workload.drain();
  }

  /** Runs a job that somebody asks for in the queue of the scheduled runs; see Workload. */
  async perform(job: string, work: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    this.#asked.add(job);
    try {
      return await this.#workload.add(work);
    } finally {
      this.#asked.delete(job);
    }
  }

  /** Decides for every task; returns when to look again. */
  async #tick(): Promise<Date> {
    let until = new Date(this.#context.clock.now().getTime() + LONGEST_WAIT_MS);
    try {
      await this.#context.journal.refresh();
      if (this.#changed) await this.#adoptTasks();
      for (const task of this.#tasks) {
        const next = await this.#settle(task);
        if (next !== undefined && next < until) until = next;
      }
    } catch (error) {
      // One bad look at a disk must not end the schedule for good: the next tick tries again.
      this.#context.events.failed('schedule', {}, toBackupError(error, 'scheduling'));
    }
    return until;
  }

  /** Finds the baseline of each task, and writes it where the task or its schedule is new. */
  async #adoptTasks(): Promise<void> {
    // Before the first await: tasks that are replaced meanwhile are adopted by the next tick.
    this.#changed = false;
    for (const task of this.#tasks) {
      const schedule = task.enabled ? task.cron.expression : DISABLED;
      const { timezone } = task.cron;
      const { seen } = this.#context.journal.histories.of(task.name);
      if (seen?.schedule !== schedule || seen.timezone !== timezone) {
        const at = this.#context.clock.now();
        await this.#baseline({
          event: 'scheduled',
          at: at.toISOString(),
          job: task.name,
          schedule,
          timezone,
        });
      } else if (!this.#states.has(task.name)) {
        this.#states.set(task.name, this.#recorded(task.name));
      }
    }
  }

  async #baseline(entry: JobSeen): Promise<void> {
    const busy = this.#states.get(entry.job)?.busy ?? false;
    await journal(this.#context, entry);
    this.#states.set(entry.job, { ...this.#recorded(entry.job), baseline: new Date(entry.at), busy });
  }

  #recorded(name: string): JobScheduleState {
    const { seen, lastDue_ms, attempts, lastDueEnded } = this.#context.journal.histories.of(name);
    return {
      job: name,
      baseline: seen === undefined ? this.#context.clock.now() : new Date(seen.at),
      lastDue: lastDue_ms === undefined ? undefined : new Date(lastDue_ms),
      attempts,
      lastDueEnded,
      busy: false,
    };
  }

  /** Carries out decisions until the answer is to wait. */
  async #settle(task: ScheduledTask): Promise<Date | undefined> {
    if (!task.enabled) return undefined;
    for (;;) {
      const state = this.#states.get(task.name);
      if (state === undefined) return undefined;
      const now = this.#context.clock.now();
      const decision = decideDue(state, task.cron, now, task.policy);
      if (decision.kind === 'wait') {
        if (decision.rebase === undefined) return decision.until;
        await this.#rebase(task, state, decision.rebase);
        continue;
      }
      this.#states.set(task.name, applyDecision(state, decision));
      if (decision.kind === 'run') this.#start(task, decision);
      else await this.#skip(task.name, decision);
    }
  }

  async #rebase(task: ScheduledTask, state: JobScheduleState, now: Date): Promise<void> {
    this.#context.events.clockStepped(task.name, state.lastDue ?? state.baseline, now);
    const { expression: schedule, timezone } = task.cron;
    await this.#baseline({ event: 'scheduled', at: now.toISOString(), job: task.name, schedule, timezone });
  }

  #start(task: ScheduledTask, decision: Extract<DueDecision, { kind: 'run' }>): void {
    const { due, trigger, missed } = decision;
    if (missed > 0) this.#context.events.runsMissed(task.name, missed, due);
    const work = async (signal: AbortSignal) => {
      let outcome: Outcome = 'failed';
      try {
        outcome = await task.run({ due, trigger, missed }, signal);
      } catch (error) {
        this.#context.events.failed('run', { job: task.name }, toBackupError(error));
      } finally {
        const state = this.#states.get(task.name);
        if (state !== undefined) {
          const answered = outcome !== 'cancelled';
          // A due time skipped meanwhile is the newer one, and settled.
          const own = state.lastDue?.getTime() === due.getTime();
          this.#states.set(task.name, {
            ...state,
            busy: false,
            lastDueEnded: own ? answered : state.lastDueEnded,
          });
        }
      }
    };
    void this.#workload.add(work);
  }

  async #skip(job: string, decision: Extract<DueDecision, { kind: 'skip' }>): Promise<void> {
    const { due, reason, missed } = decision;
    const at = this.#context.clock.now();
    const identity = identityOf(job, { run: newRunId(at), trigger: 'schedule', actor: 'daemon', due });
    const entry = endedEntry(identity, at, at, {
      outcome: 'skipped',
      errors: [{ code: 'SKIPPED', message: SKIP_REASONS[reason] }],
      missed,
    });
    await journal(this.#context, entry);
    this.#context.events.runSkipped(entry);
  }
}

const SKIP_REASONS = {
  overlap: 'an earlier run of the job is still under way',
  'catch-up-off': 'it was missed while the daemon was not running, and catchUp is off',
  attempts: 'two attempts died before their end; the next due time is waited for',
} as const;
