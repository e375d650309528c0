import { aptGet, mayInstall } from './apt.ts';
import { isOnPath } from './server-programs.ts';

/** Installs bsdtar, the other tar that archives of files are read with, where it is missing and apt-get can be used. */
export async function installBsdtar(): Promise<void> {
  if (isOnPath('bsdtar') || !mayInstall()) return;
  process.stderr.write('bsdtar is missing: installing libarchive-tools with apt-get\n');
  await aptGet(['update', '-q']);
  await aptGet(['install', '-q', '-y', '--no-install-recommends', 'libarchive-tools']);
}
