import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Cluster, findServerPrograms, startCluster } from '../tools/cluster.ts';
import { isExecutable, isOnPath } from '../tools/server-programs.ts';
import type { ShopDatabase } from './database.ts';
import { plainEnvironment } from './environment.ts';
import { COUNT_ROWS_SQL, type RowCounts, SHOP_SQL } from './shop.ts';

const execFileAsync = promisify(execFile);
const RESTORED = 'shop_restored';

/** Whether this machine has all the programs of PostgreSQL that the demo needs. */
export function hasPostgres(): boolean {
  const binDir = findServerPrograms();
  if (binDir === undefined) return false;
  return ['pg_dump', 'psql'].every((name) => isExecutable(join(binDir, name)) || isOnPath(name));
}

/** The shop in a throwaway cluster on a unix socket. Throws where PostgreSQL is not installed. */
export async function openPostgres(signal: AbortSignal): Promise<ShopDatabase> {
  if (!hasPostgres()) {
    throw new Error(
      'the programs of PostgreSQL (initdb, pg_ctl, postgres, pg_dump, psql) were not found; ' +
        'install them, or use COFRE_DEMO_DATABASE=pglite',
    );
  }
  const cluster = await startCluster();
  try {
    signal.throwIfAborted();
    const url = await cluster.createDatabase('shop');
    await cluster.psql('shop', SHOP_SQL);
    return new PostgresShop(cluster, url);
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

class PostgresShop implements ShopDatabase {
  readonly url: string;
  readonly daemon = ['src/main.ts', 'daemon'];
  readonly daemonCommand = 'cofre daemon --config config.json';
  readonly drillable = true;
  readonly #cluster: Cluster;

  constructor(cluster: Cluster, url: string) {
    this.#cluster = cluster;
    this.url = url;
  }

  get introduction(): string {
    const { major, binDir } = this.#cluster;
    const user = process.getuid?.() === 0 ? ', not run as root' : '';
    return `The database is a throwaway server of PostgreSQL ${major} (${binDir}), on a unix socket only${user}.`;
  }

  async sourceRows(): Promise<RowCounts> {
    return await this.#count('shop');
  }

  restoreCommand(archive: string): string {
    return `createdb ${RESTORED} && gunzip -c ${archive} | psql -d ${RESTORED}`;
  }

  async restore(archive: string, signal: AbortSignal): Promise<RowCounts> {
    const url = await this.#cluster.createDatabase(RESTORED);
    const besideServer = join(this.#cluster.binDir, 'psql');
    const psql = isExecutable(besideServer) ? besideServer : 'psql';
    const script = 'gunzip -c "$1" | "$2" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$3"';
    const env = plainEnvironment();
    await execFileAsync('/bin/sh', ['-c', script, 'restore', archive, psql, url], { env, signal });
    return await this.#count(RESTORED);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster[Symbol.asyncDispose]();
  }

  async #count(database: string): Promise<RowCounts> {
    const printed = await this.#cluster.psql(database, `${COUNT_ROWS_SQL};`);
    return Object.fromEntries(
      printed.split('\n').map((row) => {
        const [relation = '', rows] = row.split('|');
        return [relation, Number(rows)];
      }),
    );
  }
}
