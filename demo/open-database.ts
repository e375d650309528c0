import type { ShopDatabase } from './database.ts';
import { openPglite } from './pglite-database.ts';
import { hasPostgres, openPostgres } from './postgres-database.ts';

/**
 * @param choice `postgres`, `pglite`, or empty: PostgreSQL where its programs are installed.
 * Throws when the choice is none of these, or the database does not start.
 */
export async function openDatabase(choice: string, signal: AbortSignal): Promise<ShopDatabase> {
  switch (choice) {
    case 'postgres':
      return await openPostgres(signal);
    case 'pglite':
      return openPglite('As COFRE_DEMO_DATABASE=pglite asks for');
    case '':
      return hasPostgres()
        ? await openPostgres(signal)
        : openPglite('PostgreSQL is not installed on this machine');
    default:
      throw new Error(`COFRE_DEMO_DATABASE is ${JSON.stringify(choice)}; allowed are postgres and pglite`);
  }
}
