import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { outputText } from '../../lib/child.ts';
import type { Tool } from '../../postgres/tools.ts';
import { restoreParallel } from './custom-restore.ts';
import type { ProgramLogin } from './target-server.ts';

/** What `pg_restore --list` prints of an entry: `4012; 0 0 ACL public TABLE orders postgres`. */
const ENTRY = /^\d+; \d+ \d+ /;
const PRIVILEGES = /^\d+; \d+ \d+ (?:DEFAULT ACL|ACL(?: LANGUAGE)?) /;
/** What pg_restore leaves to the end: it may need privileges, or must not see what is restored. */
const LAST = /^\d+; \d+ \d+ (?:MATERIALIZED VIEW DATA|EVENT TRIGGER|COMMENT \S+ EVENT TRIGGER) /;

export interface PhasesOptions {
  pgRestore: Tool;
  login: ProgramLogin;
  jobs: number;
  /** Which part of which archive; the path of the archive stands last. */
  args: readonly string[];
  /** Where lists of entries may be written. */
  directory: string;
}

/**
 * Restores with several jobs, but privileges with one: a right that was granted by somebody other than the owner can
 * be granted once the grantor has it, and several jobs of pg_restore grant in any order. Throws RESTORE_FAILED.
 *
 * The order of the phases is that of `_tocEntryRestorePass` in PostgreSQL's src/bin/pg_dump/pg_backup_archiver.c.
 */
export async function restoreInPhases(options: PhasesOptions, signal: AbortSignal): Promise<void> {
  const { pgRestore, login, jobs, args, directory } = options;
  if (jobs === 1) {
    await restoreParallel(pgRestore, login, jobs, args, signal);
    return;
  }
  const entries = await listEntries(options, signal);
  const phases = [
    { jobs, of: entries.filter((entry) => !PRIVILEGES.test(entry) && !LAST.test(entry)) },
    { jobs: 1, of: entries.filter((entry) => PRIVILEGES.test(entry)) },
    { jobs, of: entries.filter((entry) => LAST.test(entry)) },
  ].filter((phase) => phase.of.length > 0);
  for (const [at, phase] of phases.entries()) {
    const list = join(directory, `phase-${at + 1}.list`);
    await writeFile(list, `${phase.of.join('\n')}\n`, { encoding: 'latin1', mode: 0o600 });
    // Of two lists, the last one counts.
    const ofPhase = args.toSpliced(-1, 0, `--use-list=${list}`);
    await restoreParallel(pgRestore, login, phase.jobs, ofPhase, signal);
  }
}

/** Of those that are restored, as Latin-1, in which any bytes come through. */
async function listEntries(
  { pgRestore, login, args }: PhasesOptions,
  signal: AbortSignal,
): Promise<string[]> {
  const command = { command: pgRestore.path, args: ['--list', ...args], env: login.env, signal };
  const printed = await outputText({ ...command, label: 'pg_restore' });
  return printed.split('\n').filter((line) => ENTRY.test(line));
}
