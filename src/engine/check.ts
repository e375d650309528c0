import { type BackupError, toBackupError } from '../domain/errors.ts';
import type { Job } from '../domain/job.ts';
import type { Finding, Source } from '../domain/ports.ts';
import { formatSize } from '../domain/size.ts';
import { worksForAnother } from '../lib/ownership.ts';
import type { EngineContext } from './context.ts';
import { type InventoryFault, takeInventory } from './inventory.ts';

/** Whether every source of the jobs can be read as a whole. */
export async function checkSources(jobs: readonly Job[], signal: AbortSignal): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const job of jobs) {
    for (const source of job.sources) {
      for (const finding of await checkSource(source, signal)) {
        findings.push({ ...finding, path: `${job.name}.${source.name}: ${finding.path}` });
      }
    }
  }
  return findings;
}

/** Whether the location can take the next archives, and still has those it should. */
export async function checkLocation(context: EngineContext, signal: AbortSignal): Promise<Finding[]> {
  return [...(await checkDirectory(context, signal)), ...(await checkStock(context))];
}

/**
 * Whether what drills restore could reach the backups: a dump is a program, written by whoever may define functions
 * in the source.
 */
export async function checkDrills(
  { location, openRestoreAdapters }: EngineContext,
  jobs: readonly Job[],
  signal: AbortSignal,
): Promise<Finding[]> {
  const drilled = jobs.filter(
    ({ drill, sources }) => drill !== undefined && sources.some(({ type }) => type === 'database'),
  );
  if (drilled.length === 0) return [];
  try {
    const uid = await (await openRestoreAdapters()).drillUserId(signal);
    if (uid === undefined) return [];
    // Root starts the server as somebody else; the daemon may run as the owner, whom root only stands in for here.
    if (uid !== (await location.ownerId()) && !worksForAnother(location.owner)) return [];
  } catch (error) {
    signal.throwIfAborted();
    return [{ ...faultFinding('drill', toBackupError(error)), severity: 'warning' }];
  }
  return [
    {
      severity: 'warning',
      code: 'DRILL_UNCONFINED',
      path: drilled.map(({ name }) => `${name}.drill`).join(', '),
      message:
        'what the daemon restores in drills runs as the user that owns the backups: whoever may define functions in a source could read or change them',
      hint: 'Where not everybody who may is trusted with the backups: name a server with a role that is no superuser as scratch.url, or have root run `cofre drill`; docs/operation.md says how.',
    },
  ];
}

async function checkDirectory(context: EngineContext, signal: AbortSignal): Promise<Finding[]> {
  const { location, catalogue } = context;
  const findings: Finding[] = [];
  try {
    await using _lock = await location.lock('catalogue', signal);
    findings.push(info(location.root, 'the location is writable and flock works'));
  } catch (error) {
    findings.push(faultFinding(location.root, toBackupError(error)));
  }
  const { free_bytes, total_bytes } = await location.space();
  const newest = new Map(catalogue.list().map(({ source, size }) => [source, size]));
  const needed_bytes = [...newest.values()].reduce((sum, size) => sum + size, 0);
  const space = `${formatSize(free_bytes)} of ${formatSize(total_bytes)} are free`;
  if (free_bytes >= needed_bytes) findings.push(info(location.root, space));
  else {
    findings.push({
      severity: 'error',
      code: 'SPACE_LOW',
      path: location.root,
      message: `${space}; the newest archive of each source together take ${formatSize(needed_bytes)}`,
      hint: 'Free space at the location, shorten the retention, or move the location to a larger disk.',
    });
  }
  return findings;
}

const STOCK_FINDINGS = {
  orphan: {
    severity: 'warning',
    code: 'ARCHIVE_UNKNOWN',
    hint: '`cofre catalogue rebuild` makes it a backup again; delete the file if it is not needed.',
  },
  manifest: {
    severity: 'error',
    code: 'MANIFEST_CORRUPT',
    hint: 'Repair the manifest from a copy, or move it away; the archive restores by hand.',
  },
  missing: {
    severity: 'error',
    code: 'ARCHIVE_MISSING',
    hint: 'Look for who removed or changed it; `cofre delete` accepts the loss.',
  },
  lost: {
    severity: 'error',
    code: 'ARCHIVE_MISSING',
    hint: 'Look for who removed it; `cofre delete` accepts the loss.',
  },
} as const satisfies Record<InventoryFault['kind'], Pick<Finding, 'severity' | 'code' | 'hint'>>;

async function checkStock(context: EngineContext): Promise<Finding[]> {
  const faults = await takeInventory(context);
  return faults.map(({ filename, kind, detail }) => ({
    ...STOCK_FINDINGS[kind],
    path: filename,
    message: detail,
  }));
}

async function checkSource(source: Source, signal: AbortSignal): Promise<Finding[]> {
  try {
    const findings = await source.preflight(signal);
    if (source.survey !== undefined) findings.push(...(await source.survey(signal)));
    if (findings.some(({ severity }) => severity === 'error')) return findings;
    return [...findings, info(source.type, 'everything that belongs to the backup can be read')];
  } catch (error) {
    signal.throwIfAborted();
    return [faultFinding(source.type, toBackupError(error))];
  }
}

function info(path: string, message: string): Finding {
  return { severity: 'info', code: 'OK', path, message, hint: '' };
}

/** An error as a finding. */
export function faultFinding(path: string, { code, message, hint }: BackupError): Finding {
  return { severity: 'error', code, path, message, hint: hint ?? '' };
}
