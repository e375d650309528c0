import { aptGet, mayInstall } from './apt.ts';
import { isOnPath } from './server-programs.ts';

/**
 * Installs systemd-analyze, which checks the unit, where it is missing and apt-get can be used, as in a slim
 * container. Installing it starts nothing there.
 */
export async function installSystemdAnalyze(): Promise<void> {
  if (isOnPath('systemd-analyze') || !mayInstall()) return;
  process.stderr.write('systemd-analyze is missing: installing it with apt-get\n');
  await aptGet(['update', '-q']);
  await aptGet(['install', '-q', '-y', '--no-install-recommends', 'systemd']);
}
