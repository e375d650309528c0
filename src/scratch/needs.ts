import { escapeIdentifier, escapeLiteral } from 'pg';
import type { DumpNeeds } from '../domain/dump-survey.ts';
import { missingOnServer } from '../postgres/server-inventory.ts';
import type { Session } from '../postgres/session.ts';
import { sqlState } from '../postgres/sql-state.ts';
import { notProvable } from './not-provable.ts';

/** Throws NOT_PROVABLE, naming every extension of the dump that is not installed on the machine of the server. */
export async function assertExtensions(session: Session, needs: DumpNeeds, major: number): Promise<void> {
  const missing = await missingOnServer(session, 'extensions', needs.extensions);
  if (missing.length === 0) return;
  const what = missing.length === 1 ? 'extension' : 'extensions';
  throw notProvable(
    `the ${what} ${missing.join(', ')} of PostgreSQL ${major} ${missing.length === 1 ? 'is' : 'are'} not installed here`,
    `Install the package of each (Debian, Ubuntu: postgresql-contrib, or postgresql-${major}-NAME), or name a server that has them as scratch.url.`,
  );
}

/**
 * Makes the roles of the dump. In a session of the database to restore into: what bytes the name of a role has
 * goes by the encoding of the database where it is made.
 * @returns those that the server does not take, such as `none` and `pg_…`.
 */
export async function makeRoles(session: Session, needs: DumpNeeds): Promise<string[]> {
  const refused: string[] = [];
  for (const role of await missingOnServer(session, 'roles', needs.roles)) {
    const rights = needs.superusers.includes(role) ? 'SUPERUSER' : 'NOSUPERUSER';
    try {
      await session.query(`CREATE ROLE ${escapeIdentifier(role)} NOLOGIN ${rights}`);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refused.push(role);
    }
  }
  return refused;
}

/** Makes the tablespaces of the dump, each in an empty directory of its own. */
export async function makeTablespaces(
  session: Session,
  needs: DumpNeeds,
  makeDirectory: () => Promise<string>,
): Promise<void> {
  for (const name of await missingOnServer(session, 'tablespaces', needs.tablespaces)) {
    const location = escapeLiteral(await makeDirectory());
    await session.query(`CREATE TABLESPACE ${escapeIdentifier(name)} LOCATION ${location}`);
  }
}

/** Whether the server refused a name, and not the whole of the work. */
function isRefusal(error: unknown): boolean {
  return /^(?:22|42)/.test(sqlState(error) ?? '');
}
