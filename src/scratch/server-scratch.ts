import { randomBytes } from 'node:crypto';
import { BackupError, toBackupError } from '../domain/errors.ts';
import type { OpenScratch, ScratchDatabase, ScratchWish } from '../domain/restore-ports.ts';
import { NEVER } from '../lib/abort.ts';
import { type ConnectionParams, describeTarget, resolveConnection } from '../postgres/connection-params.ts';
import { missingOnServer } from '../postgres/server-inventory.ts';
import { readServerFacts } from '../postgres/server-facts.ts';
import type { Session } from '../postgres/session.ts';
import { connectForLife } from './lasting-session.ts';
import { assertExtensions } from './needs.ts';
import { asNotProvable, notProvable } from './not-provable.ts';
import { createScratchDatabase } from './scratch-database.ts';
import { dropLeftovers, dropScratch, holdName, type OpenIn, PREFIX } from './scratch-names.ts';
import { urlOfDatabase } from './server-url.ts';

/** The first server where a member of a role may not be allowed to act as it. */
const SET_OPTION_MAJOR = 16;
const WHAT = 'no database for the drill can be made on the configured server';

export interface ServerScratchOptions {
  /** A connection URI of a maintenance database, with its secrets resolved: `scratch.url`. Never shown. */
  url: string;
  /** What libpq's variables and HOME are taken from. Default: that of this process. */
  env?: NodeJS.ProcessEnv;
}

/** Databases on a configured server, made for a drill and dropped after it. */
export function serverScratch(options: ServerScratchOptions): OpenScratch {
  return async (wish, signal) => {
    signal.throwIfAborted();
    try {
      return await open(options, wish, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof BackupError && error.code === 'CONFIG_INVALID') throw error;
      throw asNotProvable(error, WHAT, 'the data directory of the configured server');
    }
  };
}

/**
 * Drops the databases of drills that died. Every drill does so first; for a start of the program.
 * @returns their names. Throws what connecting throws, or the reason of the abort.
 */
export async function sweepServerScratch(
  options: ServerScratchOptions,
  signal: AbortSignal,
): Promise<string[]> {
  const { url, env = process.env } = options;
  const params = await resolveConnection(url, env);
  await using session = await connectForLife(params, env, signal);
  const { major } = await readServerFacts(session);
  return await dropLeftovers(session, major, openerOf(params, env), signal);
}

function openerOf(params: ConnectionParams, env: NodeJS.ProcessEnv): OpenIn {
  return async (database) => await connectForLife({ ...params, database }, env, NEVER);
}

async function open(
  { url, env = process.env }: ServerScratchOptions,
  wish: ScratchWish,
  signal: AbortSignal,
): Promise<ScratchDatabase> {
  const params = await resolveConnection(url, env);
  await using resources = new AsyncDisposableStack();
  // Open for as long as the drill lives: it holds the lock that says so.
  const session = resources.use(await connectForLife(params, env, signal));
  const { version, major } = await readServerFacts(session);
  await assertFit(session, wish, version, major);
  const openIn = openerOf(params, env);
  await dropLeftovers(session, major, openIn, signal);
  const name = `${PREFIX}${randomBytes(8).toString('hex')}`;
  await holdName(session, name, major);
  signal.throwIfAborted();
  let left: string | undefined;
  resources.defer(async () => {
    await dropScratch(session, name, major, openIn)
      .catch(async () => {
        // The session was lost. What cannot be dropped now is dropped before the next drill.
        await using again = await connectForLife(params, env, NEVER);
        await dropScratch(again, name, major, openIn);
      })
      .catch((error: unknown) => {
        left = `the database ${name} is still on the server at ${describeTarget(session.target)}: it could not be dropped (${toBackupError(error).message})`;
      });
  });
  const { sameLocale, sameMoney, remarks } = await createScratchDatabase(session, name, wish.locale, major);
  signal.throwIfAborted();
  const missing = await missingOnServer(session, 'roles', wish.needs.roles);
  const foreign = await foreignRoles(session, wish.needs.roles, major);
  const all = resources.move();
  return {
    url: urlOfDatabase(params, session.target, session.password, name),
    server_version: version,
    remarks,
    sameLocale,
    sameMoney,
    missingRoles: missing,
    foreignRoles: foreign,
    left: () => left,
    [Symbol.asyncDispose]: async () => await all.disposeAsync(),
  };
}

/** Those of the roles that ours may not give anything to, nor act as. */
async function foreignRoles(session: Session, roles: readonly string[], major: number): Promise<string[]> {
  const right = major >= SET_OPTION_MAJOR ? 'SET' : 'MEMBER';
  const rows = await session.query<{ name: string }>(
    `SELECT rolname::text AS name FROM pg_catalog.pg_roles
      WHERE rolname = ANY ($1::name[]) AND NOT pg_catalog.pg_has_role(current_user, oid, $2) ORDER BY 1`,
    [roles, right],
  );
  return rows.map(({ name }) => name);
}

async function assertFit(session: Session, wish: ScratchWish, version: string, major: number): Promise<void> {
  const where = describeTarget(session.target);
  if (major < wish.major) {
    throw notProvable(
      `the dump is of PostgreSQL ${wish.major}, the configured server at ${where} is ${version}`,
      'Name a server of the same version or a newer one as scratch.url, or remove it to drill on this machine.',
    );
  }
  const [role] = await session.query<{ name: string; allowed: boolean }>(
    'SELECT rolname::text AS name, rolcreatedb OR rolsuper AS allowed FROM pg_catalog.pg_roles WHERE rolname = current_user',
  );
  if (role?.allowed !== true) {
    throw notProvable(
      `the role ${role?.name} may not create databases on the configured server at ${where}`,
      `As a superuser: ALTER ROLE ${role?.name} CREATEDB;`,
    );
  }
  await assertExtensions(session, wish.needs, major);
  const tablespaces = await missingOnServer(session, 'tablespaces', wish.needs.tablespaces);
  if (tablespaces.length === 0) return;
  throw notProvable(
    `the configured server at ${where} does not have the tablespaces ${tablespaces.join(', ')}`,
    'Make them there, or remove scratch.url to drill on this machine.',
  );
}
