import { BackupError, toBackupError } from '../../domain/errors.ts';
import type { Finding } from '../../domain/ports.ts';
import { connect } from '../../postgres/connect.ts';
import {
  type ConnectionParams,
  describeTarget,
  resolveConnection,
} from '../../postgres/connection-params.ts';
import { identifier, queryError } from '../../postgres/connect-errors.ts';
import type { Staging } from './directory-dump.ts';
import { findLeftOutPartitions } from './left-out-partitions.ts';
import type { DumpFormat } from './pg-dump.ts';
import { type Filters, isGiven, type PatternFault, resolveSelection } from './selection.ts';
import { readServerFacts, type ServerFacts } from '../../postgres/server-facts.ts';
import type { Session } from '../../postgres/session.ts';
import { findTool, type Tool } from '../../postgres/tools.ts';
import { findSpace } from './staging-space.ts';
import { findUnreadable, findUnreadableLargeObjects } from './unreadable.ts';

export interface PreflightOptions {
  readonly source: string;
  readonly url: string;
  readonly format: DumpFormat;
  readonly filters: Filters;
  readonly binDir: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Of the directory format. */
  readonly staging?: Staging | undefined;
}

/** Everything that would make pg_dump fail, found at once. Throws for nothing but cancellation. */
export async function runPreflight(options: PreflightOptions, signal: AbortSignal): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    const params = await resolveConnection(options.url, options.env);
    await using session = await connect(params, options.env, signal);
    try {
      const facts = await readServerFacts(session);
      findings.push(reachedFinding(options, params, session, facts));
      findings.push(...(await checkTools(options, facts, signal)));
      findings.push(...(await checkObjects(options, session, facts)));
    } catch (error) {
      throw queryError(error, session.target);
    }
  } catch (error) {
    signal.throwIfAborted();
    findings.push(findingOf(error, options.source));
  }
  return findings;
}

/** Says which server and database a source leads to. */
export function reachedFinding(
  { source }: { source: string },
  { user }: ConnectionParams,
  { target }: Session,
  { version, database }: ServerFacts,
): Finding {
  const where = `database "${database}" at ${describeTarget(target)} as user "${user}"`;
  return {
    severity: 'info',
    code: 'OK',
    path: source,
    message: `connected to ${where}, PostgreSQL ${version}`,
    hint: '',
  };
}

async function checkTools(
  options: PreflightOptions,
  facts: ServerFacts,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { binDir, env, source } = options;
  const findings: Finding[] = [];
  const neededBy = `PostgreSQL ${facts.version}`;
  const check = async (name: string, major: number): Promise<Tool | undefined> => {
    try {
      const tool = await findTool(name, major, { binDir, env, signal, neededBy });
      const message = `${name} ${tool.version}, ${tool.path}`;
      findings.push({ severity: 'info', code: 'OK', path: source, message, hint: '' });
      return tool;
    } catch (error) {
      signal.throwIfAborted();
      findings.push(findingOf(error, source));
      return undefined;
    }
  };
  const dump = await check('pg_dump', facts.major);
  // Archives of these formats are read back with it.
  if (options.format !== 'plain' && dump !== undefined) await check('pg_restore', dump.major);
  return findings;
}

async function checkObjects(
  { filters, source, staging }: PreflightOptions,
  session: Session,
  { database, role, major }: ServerFacts,
): Promise<Finding[]> {
  const { selection, faults } = await resolveSelection(session, filters, database, major);
  const findings = faults.map((fault) => patternFinding(fault));
  if (isGiven(filters.include.tables) && isGiven(filters.include.schemas)) {
    findings.push({
      severity: 'warning',
      code: 'CONFIG_INVALID',
      path: source,
      message: 'include.schemas has no effect beside include.tables',
      hint: 'Write the schemas as patterns below include.tables, such as `app.*`.',
    });
  }
  // Nothing below may wait, write, or find a function of somebody else's by its search path.
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  await session.query('SET LOCAL search_path = pg_catalog');
  await session.query('SET LOCAL statement_timeout = 0');
  findings.push(...(await findUnreadable(session, selection, role)));
  findings.push(...(await findLeftOutPartitions(session, selection)));
  if (selection.includeSchemas === undefined && selection.includeTables === undefined) {
    findings.push(...(await findUnreadableLargeObjects(session, role, major)));
  }
  if (staging !== undefined) {
    findings.push(await findSpace(session, selection, source, await staging.parent()));
  }
  await session.query('COMMIT');
  return findings;
}

function patternFinding({ pattern, key, kind, reason }: PatternFault): Finding {
  const hint =
    kind === 'nothing'
      ? 'Correct the pattern, create what it names, or let the role see it: a table without a schema is looked for in the search path only, so write schema.table.'
      : `Correct the pattern; write a name with dots or capitals in double quotes, as ${identifier('My.table')}.`;
  return {
    severity: 'error',
    code: kind === 'nothing' ? 'SOURCE_MISSING' : 'CONFIG_INVALID',
    path: `${key}: ${pattern}`,
    message: `pg_dump would fail on the pattern ${pattern} of ${key}: ${reason}`,
    hint,
  };
}

/** An error as a finding of its source. */
export function findingOf(thrown: unknown, source: string): Finding {
  const error = thrown instanceof BackupError ? thrown : toBackupError(thrown, 'the preflight failed');
  return {
    severity: 'error',
    code: error.code,
    path: error.path ?? source,
    message: error.message,
    hint: error.hint ?? '',
  };
}
