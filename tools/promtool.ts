import { copyFile, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { aptGet, mayInstall, run } from './apt.ts';
import { isExecutable, isOnPath } from './server-programs.ts';

/** `promtool` from PATH, else the copy that installPromtool made. Throws with what to type. */
export function requirePromtool(): string {
  if (isOnPath('promtool')) return 'promtool';
  if (isExecutable(cachedPromtool())) return cachedPromtool();
  throw new Error(
    'promtool is missing; the tests of the metrics need it. Type: ' +
      (isOnPath('apt-get')
        ? 'sudo apt-get install -y prometheus'
        : 'npm test, as root on Debian, or put promtool on PATH'),
  );
}

/**
 * Gets promtool where it is missing and apt-get can be used. It is taken out of Debian's package
 * `prometheus` without installing that, which would start a server that listens on every address.
 */
export async function installPromtool(): Promise<void> {
  if (isOnPath('promtool') || isExecutable(cachedPromtool()) || !mayInstall()) return;
  process.stderr.write('promtool is missing: taking it out of the Debian package prometheus\n');
  const dir = await mkdtemp(join(tmpdir(), 'cofre-promtool-'));
  try {
    await aptGet(['update', '-q']);
    // Downloading as root: apt's own user could not write to a private directory, which it warns about.
    await aptGet(['download', '-q', '-o', 'APT::Sandbox::User=root', 'prometheus'], dir);
    const [archive = ''] = (await readdir(dir)).filter((name) => name.endsWith('.deb'));
    await run('dpkg-deb', ['-x', archive, 'unpacked'], dir);
    await mkdir(cacheDir(), { recursive: true });
    const partial = join(cacheDir(), `promtool.${process.pid}`);
    await copyFile(join(dir, 'unpacked/usr/bin/promtool'), partial);
    await rename(partial, cachedPromtool());
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function cachedPromtool(): string {
  return join(cacheDir(), 'promtool');
}

function cacheDir(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'cofre');
}
