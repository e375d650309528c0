import { BackupError } from '../domain/errors.ts';
import type { Finding, Source } from '../domain/ports.ts';
import type { EngineContext } from './context.ts';
import type { Scope } from './events.ts';
import { assertSpace } from './space.ts';
import { sweepPartials } from './sweep.ts';

/** A preflight found faults; each is an error of its own, so that all are reported at once. */
export class PreflightError extends BackupError {
  readonly faults: readonly BackupError[];

  constructor(first: BackupError, faults: readonly BackupError[]) {
    super(first.code, faults.map(({ message }) => message).join('; '), { hint: first.hint ?? '' });
    this.faults = faults;
  }
}

/**
 * Throws what would make a capture fail: LOCATION_UNUSABLE, SPACE_LOW, or PreflightError with everything that
 * the source has found. What it found besides becomes events. Removes what earlier runs of the source left unfinished,
 * before the space is looked at; the caller holds the source's lock.
 */
export async function preflight(
  context: EngineContext,
  source: Source,
  scope: Scope,
  signal: AbortSignal,
): Promise<void> {
  await context.location.assertUsable();
  // Side by side, as the one waits for a server and the other for a directory; neither outlives this.
  const [asked, swept] = await Promise.allSettled([
    source.preflight(signal),
    sweepPartials(context, source.name),
  ]);
  if (asked.status === 'rejected') throw asked.reason;
  if (swept.status === 'rejected') throw swept.reason;
  const findings = asked.value;
  for (const finding of findings) {
    if (finding.severity !== 'error') context.events.preflightFinding(scope, finding);
  }
  const faults = findings.filter(({ severity }) => severity === 'error').map(toFault);
  const [first] = faults;
  if (first !== undefined) throw new PreflightError(first, faults);
  await assertSpace(context, source.name);
}

function toFault({ code, message, hint, path }: Finding): BackupError {
  return new BackupError(code === 'OK' ? 'INTERNAL' : code, message, { hint, path });
}
