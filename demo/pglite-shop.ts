import { PGlite } from '@electric-sql/pglite';
import { COUNT_ROWS_SQL, type RowCounts } from './shop.ts';

/** An embedded PostgreSQL in the memory of this process, empty. */
export async function startPglite(): Promise<PGlite> {
  return await PGlite.create();
}

export async function countRows(database: PGlite): Promise<RowCounts> {
  const { rows } = await database.query<{ relation: string; rows: number }>(COUNT_ROWS_SQL);
  return Object.fromEntries(rows.map(({ relation, rows: count }) => [relation, count]));
}
