import { execFileSync, spawnSync } from 'node:child_process';
import { MAIN } from './cofre.ts';

const NOBODY = 65_534;

/**
 * What to put before a command line so that file modes count: root reads and writes whatever it likes. It
 * stays root without a capability, so that it still reaches a checkout in a home directory.
 */
export function withoutPrivileges(): string[] {
  if (process.getuid?.() !== 0) return [];
  return ['setpriv', '--bounding-set=-all', '--inh-caps=-all'];
}

/**
 * What to put before a command line so that it runs as a user without rights: nothing where we are one. Undefined
 * where that user could not read this checkout.
 */
export function asNobody(): string[] | undefined {
  if (process.getuid?.() !== 0) return [];
  const prefix = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'];
  const readable = [...prefix.slice(1), process.execPath, '--check', MAIN];
  return spawnSync('setpriv', readable, { cwd: '/' }).status === 0 ? prefix : undefined;
}

/** Gives a tree to that user. */
export function giveToNobody(path: string): void {
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, '--', path]);
}
