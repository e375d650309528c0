import { randomBytes } from 'node:crypto';
import { BackupError } from '../domain/errors.ts';
import type { OpenScratch, ScratchDatabase, ScratchWish } from '../domain/restore-ports.ts';
import { NEVER } from '../lib/abort.ts';
import { describeTarget, resolveConnection } from '../postgres/connection-params.ts';
import { dropDatabase } from '../postgres/drop-database.ts';
import { missingOnServer } from '../postgres/server-inventory.ts';
import { readServerFacts } from '../postgres/server-facts.ts';
import type { Session } from '../postgres/session.ts';
import { connectForLife } from './lasting-session.ts';
import { assertExtensions } from './needs.ts';
import { asNotProvable, notProvable } from './not-provable.ts';
import { createScratchDatabase } from './scratch-database.ts';
import { dropLeftovers, holdName, PREFIX } from './scratch-names.ts';
import { urlOfDatabase } from './server-url.ts';

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
  await using session = await connectForLife(await resolveConnection(url, env), env, signal);
  const { major } = await readServerFacts(session);
  return await dropLeftovers(session, major, signal);
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
  await dropLeftovers(session, major, signal);
  const name = `${PREFIX}${randomBytes(8).toString('hex')}`;
  await holdName(session, name, major);
  signal.throwIfAborted();
  resources.defer(async () => {
    await dropDatabase(session, name, major)
      .catch(async () => {
        // The session was lost. What cannot be dropped now is dropped before the next drill.
        await using again = await connectForLife(params, env, NEVER);
        await dropDatabase(again, name, major);
      })
      .catch(() => undefined);
  });
  const { sameLocale, sameMoney, remarks } = await createScratchDatabase(session, name, wish.locale, major);
  signal.throwIfAborted();
  const missing = await missingOnServer(session, 'roles', wish.needs.roles);
  const all = resources.move();
  return {
    url: urlOfDatabase(params, session.target, session.password, name),
    server_version: version,
    remarks,
    sameLocale,
    sameMoney,
    missingRoles: missing,
    [Symbol.asyncDispose]: async () => await all.disposeAsync(),
  };
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
