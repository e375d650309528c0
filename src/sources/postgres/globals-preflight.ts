import type { Finding } from '../../domain/ports.ts';
import { connect } from '../../postgres/connect.ts';
import { identifier, queryError } from '../../postgres/connect-errors.ts';
import { resolveConnection } from '../../postgres/connection-params.ts';
import { readServerFacts } from '../../postgres/server-facts.ts';
import type { Session } from '../../postgres/session.ts';
import { findTool } from '../../postgres/tools.ts';
import { findingOf, reachedFinding } from './preflight.ts';

export interface GlobalsPreflightOptions {
  /** The name of the globals source. */
  readonly source: string;
  readonly url: string;
  readonly passwords: boolean;
  readonly binDir: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

/** What pg_dumpall reads of roles and tablespaces, beside the roles themselves. */
const CATALOGUES = ['pg_auth_members', 'pg_db_role_setting', 'pg_tablespace', 'pg_shdescription'];
/** The roles with the hashes of their passwords, which no ordinary role may read, and those without. */
const ROLES = { withPasswords: 'pg_authid', withoutPasswords: 'pg_roles' };

/** Everything that would make pg_dumpall fail, found at once. Throws for nothing but cancellation. */
export async function runGlobalsPreflight(
  options: GlobalsPreflightOptions,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { source, url, env } = options;
  const findings: Finding[] = [];
  try {
    const params = await resolveConnection(url, env);
    await using session = await connect(params, env, signal);
    try {
      const facts = await readServerFacts(session);
      findings.push(reachedFinding(options, params, session, facts));
      findings.push(...(await findUnreadableCatalogues(session, options, facts.role)));
      findings.push(await toolFinding(options, facts, signal));
    } catch (error) {
      throw queryError(error, session.target);
    }
  } catch (error) {
    signal.throwIfAborted();
    findings.push(findingOf(error, source));
  }
  return findings;
}

async function toolFinding(
  { binDir, env, source }: GlobalsPreflightOptions,
  { version, major }: { version: string; major: number },
  signal: AbortSignal,
): Promise<Finding> {
  try {
    const neededBy = `PostgreSQL ${version}`;
    const tool = await findTool('pg_dumpall', major, { binDir, env, signal, neededBy });
    const message = `pg_dumpall ${tool.version}, ${tool.path}`;
    return { severity: 'info', code: 'OK', path: source, message, hint: '' };
  } catch (error) {
    signal.throwIfAborted();
    return findingOf(error, source);
  }
}

async function findUnreadableCatalogues(
  session: Session,
  { passwords }: GlobalsPreflightOptions,
  role: string,
): Promise<Finding[]> {
  const wanted = [passwords ? ROLES.withPasswords : ROLES.withoutPasswords, ...CATALOGUES];
  const rows = await session.query<{ name: string }>(
    `SELECT name FROM pg_catalog.unnest($1::text[]) AS name
      WHERE NOT pg_catalog.has_table_privilege('pg_catalog.' || name, 'SELECT')`,
    [wanted],
  );
  return rows.map(({ name }) => {
    const isPasswords = name === ROLES.withPasswords;
    return {
      severity: 'error' as const,
      code: 'UNREADABLE' as const,
      path: `pg_catalog.${name}`,
      message: isPasswords
        ? `the role "${role}" may not read the hashes of passwords (pg_catalog.${name}), which takes a superuser`
        : `the role "${role}" may not read pg_catalog.${name}`,
      hint: isPasswords
        ? 'Connect as a superuser, or set `globals` to true, which leaves the passwords out.'
        : `GRANT SELECT ON pg_catalog.${name} TO ${identifier(role)};`,
    };
  });
}
