import { describeAnomaly, openAnomaly } from '../domain/anomaly.ts';
import type { RunEnded, RunStarted } from '../domain/journal-entry.ts';
import type { Manifest } from '../domain/manifest.ts';
import type { Notice, NoticeArchive } from '../domain/notice.ts';
import type { Decision, Overdue } from '../domain/notify-decision.ts';
import type { EngineContext } from '../engine/context.ts';

type Tell = NonNullable<Decision['tell']>;

/** Where messages say that they come from. */
export interface Origin {
  host: string;
  location: string;
}

const NOTHING = { archives: [], errors: [], removed: [], drills: [] } as const;

export function testNotice(origin: Origin, now: Date): Notice {
  return { ...NOTHING, ...origin, kind: 'test', topics: [], at: now.toISOString() };
}

export function startNotice(origin: Origin, tell: Tell, entry: RunStarted): Notice {
  return { ...NOTHING, ...origin, ...tell, ...identityOf(entry) };
}

/** With the sizes of the archives, and what an anomaly is, from the manifests. */
export async function endNotice(
  origin: Origin,
  tell: Tell,
  entry: RunEnded,
  { catalogue }: EngineContext,
): Promise<Notice> {
  const { outcome, duration_ms, errors, removed = [], drills = [] } = entry;
  const archives = await Promise.all(
    entry.archives.map(async (filename) => {
      // Pruned or deleted meanwhile: then only the journal knows of it.
      const manifest = await catalogue.read(filename).catch(() => undefined);
      return archiveOf(filename, entry, manifest);
    }),
  );
  return {
    ...origin,
    ...tell,
    ...identityOf(entry),
    outcome,
    duration_ms,
    archives,
    errors,
    removed,
    drills,
  };
}

export function overdueNotice(origin: Origin, tell: Tell, { job, since }: Overdue, now: Date): Notice {
  const error = {
    code: 'OVERDUE',
    message: `no run of ${job} has succeeded since it was due at ${since}`,
    hint: 'Look at what its last runs say, and whether the daemon was running: `cofre check` and the log tell.',
  } as const;
  return { ...NOTHING, ...origin, ...tell, at: now.toISOString(), job, due: since, errors: [error] };
}

function identityOf({ at, job, run, trigger, actor, due }: RunStarted | RunEnded) {
  return { at, job, run, trigger, actor, ...(due === undefined ? {} : { due }) };
}

function archiveOf(filename: string, { anomalies = [] }: RunEnded, manifest?: Manifest): NoticeArchive {
  const record = anomalies.find((each) => each.filename === filename);
  const anomaly = manifest === undefined ? undefined : openAnomaly(manifest);
  return {
    filename,
    ...(manifest === undefined ? {} : { size: manifest.size, raw_size: manifest.raw_size }),
    ...(record === undefined
      ? {}
      : {
          anomaly: {
            kinds: record.kinds,
            detail: anomaly === undefined ? record.kinds.join(', ') : describeAnomaly(anomaly),
          },
        }),
  };
}
