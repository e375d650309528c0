import { existsSync } from 'node:fs';
import type { Job } from '../../domain/job.ts';
import type { Finding } from '../../domain/ports.ts';
import { composeJobs } from '../../compose-jobs.ts';
import { checkNotifiers } from '../../compose-notify-check.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { toBackupError } from '../../domain/errors.ts';
import { checkDrills, checkLocation, checkSources, faultFinding } from '../../engine/check.ts';
import type { Answer } from '../answer.ts';
import type { Session } from '../session.ts';

/** `cofre check`: everything that would make a run fail, looked for without running one. */
export async function check(session: Session): Promise<Answer> {
  const loaded = await session.load();
  const warnings: Finding[] = loaded.warnings.map((message) => ({
    severity: 'warning',
    code: 'CONFIG_INVALID',
    path: loaded.path,
    message,
    hint: '',
  }));
  const jobs = composeJobs(loaded.config).map(({ job }) => job);
  const findings = [
    ...warnings,
    ...(await locationFindings(session, loaded, jobs)),
    ...(await checkSources(jobs, session.signal)),
    ...(await certificateFindings(loaded)),
    ...checkNotifiers(loaded.config),
  ];
  const ok = findings.every(({ severity }) => severity !== 'error');
  return { status: ok ? 0 : 1, json: { ok, findings }, text: describe(findings, ok) };
}

/** A location that cannot be used is a finding too, and does not hide those of the sources. */
async function locationFindings(
  session: Session,
  loaded: LoadedConfig,
  jobs: readonly Job[],
): Promise<Finding[]> {
  const { location, requireMount } = loaded.config;
  if (!requireMount && !existsSync(location)) return [notYet(location)];
  try {
    const { context } = await session.openLoaded(loaded, { create: false });
    return [
      ...(await checkLocation(context, session.signal)),
      ...(await checkDrills(context, jobs, session.signal)),
    ];
  } catch (error) {
    session.signal.throwIfAborted();
    return [faultFinding(loaded.config.location, toBackupError(error))];
  }
}

/** What would keep the daemon from serving HTTPS. */
async function certificateFindings({ config: { http } }: LoadedConfig): Promise<Finding[]> {
  if (http.tls === undefined) return [];
  const { readTls } = await import('../../http/listen.ts');
  return await readTls(http.tls).then(
    () => [],
    (error: unknown) => [faultFinding('http.tls', toBackupError(error))],
  );
}

/** Made by the first run, not by a look: made by another user, it would be in the way of the daemon's. */
function notYet(location: string): Finding {
  return {
    severity: 'warning',
    code: 'LOCATION_UNUSABLE',
    path: location,
    message: 'the location does not exist yet; the first run makes it',
    hint: 'Is the path right? Its parent must be writable for the user that runs cofre.',
  };
}

const MARKS = { error: 'ERROR  ', warning: 'warning', info: 'ok     ' } as const;

function describe(findings: readonly Finding[], ok: boolean): string {
  const lines = findings.flatMap(({ severity, path, message, hint }) => [
    `${MARKS[severity]}  ${path}: ${message}`,
    ...(hint === '' ? [] : [`         ${hint}`]),
  ]);
  return [
    ...lines,
    ok ? 'everything needed for a backup is there' : 'a backup would fail or be incomplete',
  ].join('\n');
}
