import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { aptGet, mayInstall } from './apt.ts';
import { findServerPrograms, isOnPath } from './server-programs.ts';

const CREATECLUSTER_DIR = '/etc/postgresql-common/createcluster.d';

/**
 * The directory of PostgreSQL's server programs, installed with apt-get first where they are missing and
 * that is possible. Throws with the one command to type where it is not. The tests that need PostgreSQL
 * are never skipped for want of it.
 */
export async function requirePostgresPrograms(): Promise<string> {
  const found = findServerPrograms();
  if (found !== undefined) return found;
  if (!mayInstall()) throw new Error(`PostgreSQL's server programs are missing. ${howToInstall()}`);
  process.stderr.write("PostgreSQL's server programs are missing: installing them with apt-get\n");
  await installPostgres();
  const installed = findServerPrograms();
  if (installed === undefined) throw new Error(`PostgreSQL was installed but not found. ${howToInstall()}`);
  return installed;
}

async function installPostgres(): Promise<void> {
  await aptGet(['update', '-q']);
  // Debian's package makes and starts a cluster of its own, unless told not to. The file goes again: what
  // the next package of the machine's owner does is not ours to decide.
  const setting = `${CREATECLUSTER_DIR}/cofre-test.conf`;
  const isOurs = !existsSync(CREATECLUSTER_DIR);
  await mkdir(CREATECLUSTER_DIR, { recursive: true });
  await writeFile(setting, 'create_main_cluster = false\n');
  try {
    await aptGet(['install', '-q', '-y', '--no-install-recommends', 'postgresql']);
  } finally {
    await rm(isOurs ? CREATECLUSTER_DIR : setting, { recursive: true, force: true });
  }
}

function howToInstall(): string {
  if (isOnPath('apt-get')) return 'Type: sudo apt-get install -y postgresql';
  if (isOnPath('dnf')) return 'Type: sudo dnf install -y postgresql-server postgresql';
  if (isOnPath('apk')) return 'Type: apk add postgresql postgresql-client';
  if (isOnPath('brew')) return 'Type: brew install postgresql@18';
  return 'Install PostgreSQL (initdb, pg_ctl, postgres, pg_dump, psql) and put its programs on PATH.';
}
