/**
 * Whether a notifier is told of something, from what it remembers and from nothing else: the same entries give
 * the same answers, so that the journal can be read again from where the last message was sent.
 */
import {
  DRILL_TASK,
  isTask,
  PRUNE_TASK,
  type RunEnded,
  type RunStarted,
  SCRUB_TASK,
} from './journal-entry.ts';
import { TOPICS, type Topic } from './notice.ts';

/** What a notifier wants to know. */
export interface Subscription {
  topics: ReadonlySet<Topic>;
  /** Also told when a run starts. */
  starts: boolean;
  /** Also told when a job becomes overdue, which is a failure. */
  overdue: boolean;
  /** Only these jobs; without, all jobs and the maintenance too. */
  jobs?: ReadonlySet<string>;
  /** The same trouble of a job is told again only after so long. */
  repeat_ms: number;
}

/** What is told once and then only every now and then. Times are ISO 8601, UTC. */
const REPEATED = ['failure', 'incomplete', 'anomaly'] as const;
type Repeated = (typeof REPEATED)[number];

/** What a notifier remembers of one job. */
export interface JobMemory {
  /** Since when it has been in trouble. */
  since?: string;
  told?: Partial<Record<Repeated, string>>;
  /** When it was last told, or tried to be told, that the job is overdue. */
  overdueAt?: string;
}

/** By the name of the job or task. What is not in it is fine. */
export type NotifierMemory = Readonly<Record<string, JobMemory>>;

export interface Overdue {
  job: string;
  /** The oldest due time that no success has followed. */
  since: string;
}

export interface Decision {
  /** What to remember if nothing was told, or it could not be. */
  silent: NotifierMemory;
  /** What to remember once it was told. */
  told: NotifierMemory;
  /** Absent: nothing is to be told. */
  tell?: { kind: Topic | 'start'; topics: Topic[]; failing_since?: string };
}

/** Runs pace what is told of them; being overdue lasts. */
const OVERDUE_PAUSE_MS = 3_600_000;

/** The maintenance whose failures matter to who waits for backups, and nobody may be looking at. */
function isWatched(job: string): boolean {
  return !isTask(job) || job === PRUNE_TASK || job === SCRUB_TASK || isDrill(job);
}

function isDrill(job: string): boolean {
  return job === DRILL_TASK || job.startsWith(`${DRILL_TASK}.`);
}

function isWanted(job: string, { jobs }: Subscription): boolean {
  if (!isWatched(job)) return false;
  const name = job.startsWith(`${DRILL_TASK}.`) ? job.slice(DRILL_TASK.length + 1) : job;
  return jobs === undefined || jobs.has(name);
}

export function decideStarted(
  memory: NotifierMemory,
  { job }: Pick<RunStarted, 'job'>,
  subscription: Subscription,
): Decision {
  const nothing = { silent: memory, told: memory };
  if (!subscription.starts || isTask(job) || !isWanted(job, subscription)) return nothing;
  return { ...nothing, tell: { kind: 'start', topics: [] } };
}

export function decideEnded(memory: NotifierMemory, entry: RunEnded, subscription: Subscription): Decision {
  const { job, outcome, at } = entry;
  // A cancelled run is made up for, and what was due while a run goes on is skipped: overdue tells if neither helps.
  if (!isWanted(job, subscription) || outcome === 'cancelled' || outcome === 'skipped') {
    return { silent: memory, told: memory };
  }
  const before = memory[job] ?? {};
  const found = topicsOf(entry, before).filter((topic) => subscription.topics.has(topic));
  const after = afterwards(before, entry, subscription);
  // Drills by hand are of any archive: each is news.
  const repeat_ms = job === DRILL_TASK ? 0 : subscription.repeat_ms;
  const topics = found.filter((topic) => !isRepeated(topic) || isDue(after.told?.[topic], at, repeat_ms));
  const [kind] = topics;
  const silent = withJob(memory, job, after);
  if (kind === undefined) return { silent, told: silent };
  const told = Object.fromEntries(topics.filter(isRepeated).map((topic) => [topic, at]));
  const since = before.since ?? after.since;
  return {
    silent,
    told: withJob(memory, job, { ...after, told: { ...after.told, ...told } }),
    tell: { kind, topics, ...(since === undefined ? {} : { failing_since: since }) },
  };
}

/**
 * A job that is overdue has failed, whether or not a run did. Of a job whose runs fail, and are told, it says
 * nothing new, so that it waits twice as long after such a failure as after having been told itself.
 */
export function decideOverdue(
  memory: NotifierMemory,
  { job, since }: Overdue,
  now: Date,
  subscription: Subscription,
): Decision {
  const nothing = { silent: memory, told: memory };
  const isOn = subscription.overdue && subscription.topics.has('failure') && isWanted(job, subscription);
  if (!isOn) return nothing;
  const before = memory[job] ?? {};
  const failure = before.told?.failure;
  const at = now.toISOString();
  const repeat_ms = Math.max(subscription.repeat_ms, OVERDUE_PAUSE_MS);
  const wait_ms = failure === before.overdueAt ? repeat_ms : 2 * repeat_ms;
  if (!isDue(before.overdueAt, at, OVERDUE_PAUSE_MS) || !isDue(failure, at, wait_ms)) return nothing;
  const failing_since = before.since ?? since;
  const after: JobMemory = { ...before, since: failing_since, overdueAt: at };
  return {
    silent: withJob(memory, job, after),
    told: withJob(memory, job, { ...after, told: { ...after.told, failure: at } }),
    tell: { kind: 'failure', topics: ['failure'], failing_since },
  };
}

/** All that goes for a run, the most important first. */
function topicsOf(entry: RunEnded, { since }: JobMemory): Topic[] {
  const { job, outcome, anomalies = [], drills = [], removed = [] } = entry;
  const isRun = !isTask(job);
  const holds: Record<Topic, boolean> = {
    failure: outcome === 'failed',
    incomplete: outcome === 'incomplete',
    anomaly: anomalies.length > 0,
    recovered: outcome === 'succeeded' && since !== undefined,
    drill: drills.length > 0,
    prune: job === PRUNE_TASK && removed.length > 0,
    success: isRun && outcome === 'succeeded',
  };
  return TOPICS.filter((topic) => holds[topic]);
}

/** What to remember of the job if nothing is told. */
function afterwards(before: JobMemory, entry: RunEnded, { topics }: Subscription): JobMemory {
  const { job, outcome, at, anomalies = [] } = entry;
  if (outcome === 'succeeded') {
    const anomaly = before.told?.anomaly;
    return anomaly === undefined || anomalies.length === 0 ? {} : { told: { anomaly } };
  }
  // That a drill by hand proves another archive ends no trouble.
  const lasts = job !== DRILL_TASK && (outcome === 'failed' || topics.has('incomplete'));
  const since = before.since ?? (lasts ? at : undefined);
  return { ...before, ...(since === undefined ? {} : { since }) };
}

function isRepeated(topic: Topic): topic is Repeated {
  return (REPEATED as readonly Topic[]).includes(topic);
}

/** A time far ahead, which a wrong clock wrote, must not silence a notifier until then. */
function isDue(told: string | undefined, at: string, repeat_ms: number): boolean {
  return told === undefined || Math.abs(Date.parse(at) - Date.parse(told)) >= repeat_ms;
}

function withJob(memory: NotifierMemory, job: string, now: JobMemory): NotifierMemory {
  const { [job]: _, ...others } = memory;
  const isFine = now.since === undefined && Object.keys(now.told ?? {}).length === 0;
  return isFine ? others : { ...others, [job]: now };
}
