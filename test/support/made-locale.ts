import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';

/** Whether this machine can make locales: Debian's package `locales` has what they are made from. */
export const CAN_MAKE_LOCALES = existsSync('/usr/share/i18n/locales/de_DE');

/**
 * Makes locales such as `de_DE` for UTF-8 in a directory, for LOCPATH to name; a server that is started with it has
 * these and C. The caller removes it.
 */
export function makeLocales(...names: string[]): string {
  const directory = mkdtempSync('/tmp/cofre-locales-');
  chmodSync(directory, 0o755);
  for (const name of names) {
    execFileSync('localedef', ['--no-archive', '-i', name, '-f', 'UTF-8', join(directory, `${name}.UTF-8`)]);
  }
  return directory;
}
