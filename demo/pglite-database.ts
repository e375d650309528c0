import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import type { LogLine } from './daemon-process.ts';
import type { ShopDatabase } from './database.ts';
import { countRows, startPglite } from './pglite-shop.ts';
import type { RowCounts } from './shop.ts';

/**
 * The shop in PGlite: PostgreSQL compiled to WebAssembly. It lives in the process of the daemon.
 *
 * @param why it was chosen, for people.
 */
export function openPglite(why: string): ShopDatabase {
  return new PgliteShop(why);
}

class PgliteShop implements ShopDatabase {
  readonly introduction: string;
  readonly url = 'postgresql://pglite/shop';
  readonly daemon = ['demo/pglite-daemon.ts'];
  readonly daemonCommand = 'node demo/pglite-daemon.ts --config config.json';
  readonly drillable = false;
  readonly caveat =
    'Its pg_dump always writes INSERT statements. cofre counts and digests the rows of COPY data, which the ' +
    'dumps of a PostgreSQL server hold; so the `contents` of these archives name no tables here, and one digest covers all.';

  constructor(why: string) {
    this.introduction =
      `${why}: the database is PGlite, PostgreSQL as WebAssembly from npm, with the pg_dump that belongs to ` +
      'it. It is embedded in the process of the daemon, so the demo starts the daemon with a source of its ' +
      'own (demo/pglite-source.ts) in place of the one for servers. All the rest is the same.';
  }

  async sourceRows(log: readonly LogLine[]): Promise<RowCounts> {
    const told = log.find(({ rows }) => rows !== undefined)?.rows;
    if (told === undefined) throw new Error('the daemon did not tell the rows of the embedded database');
    return told;
  }

  restoreCommand(archive: string): string {
    return `gunzip -c ${archive}     # and its SQL into a second, empty PGlite`;
  }

  async restore(archive: string, signal: AbortSignal): Promise<RowCounts> {
    const sql = gunzipSync(await readFile(archive)).toString();
    const database = await startPglite();
    try {
      signal.throwIfAborted();
      await database.exec(sql);
      return await countRows(database);
    } finally {
      await database.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The daemon held it.
  }
}
