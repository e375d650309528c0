import { requirePostgresPrograms } from '../../tools/require-postgres-programs.ts';

/** Vitest's global set-up of the tests of real PostgreSQL: they fail, in one message, rather than skip. */
export default async function setup(): Promise<void> {
  await requirePostgresPrograms();
}
