import { isUtf8 } from 'node:buffer';
import { escapeLiteral } from 'pg';
import { BackupError } from '../../domain/errors.ts';
import type { ByteStream } from '../../domain/ports.ts';
import type { GlobalsResult } from '../../domain/restore-ports.ts';
import { formatSize } from '../../domain/size.ts';
import { namesOnServer } from '../../postgres/server-inventory.ts';
import type { Session } from '../../postgres/session.ts';
import { sqlState } from '../../postgres/sql-state.ts';
import { type GlobalsStatement, parseGlobals } from './globals-statements.ts';
import { reasonOf } from './place.ts';
import { hintOf } from './restore-errors.ts';
import { isLackState } from './lack-states.ts';

/** A hundred thousand roles are some 30 MB. */
const SCRIPT_MAX_BYTES = 256 * 1024 * 1024;
/** The first server with privileges on parameters. */
const PARAMETERS_MAJOR = 15;
/** SQLSTATE: not permitted. */
const NOT_PERMITTED = '42501';
/** SQLSTATE: the directory of a tablespace holds one already. */
const IN_USE = '55006';
/** SQLSTATEs of a parameter, or of its value, such as a locale or a directory, that this server does not take. */
const OTHER_VALUE = new Set(['22023', '42602', '42704', '0A000']);

export interface GlobalsOptions {
  /** Of the server. */
  major: number;
  /** Makes an empty directory for a tablespace, in place of the one that the archive names. */
  tablespaceDirectory?: (() => Promise<string>) | undefined;
  /** It is a drill: what this server lacks is NOT_PROVABLE instead of RESTORE_FAILED. */
  scratch: boolean;
}

/**
 * Makes the roles and tablespaces of `pg_dumpall --globals-only` that are not there, with all that is said of
 * them; those that exist stay as they are, but for memberships, which are added. Roles and their memberships are
 * one transaction; each tablespace stands for itself, since the server makes them in no transaction.
 *
 * Throws ARCHIVE_UNSAFE, DUMP_TRUNCATED, DUMP_EMPTY, or RESTORE_FAILED or NOT_PROVABLE with what was made until then.
 */
export async function applyGlobals(
  raw: ByteStream,
  session: Session,
  options: GlobalsOptions,
  signal: AbortSignal,
): Promise<GlobalsResult> {
  const statements = parseGlobals(await readScript(raw, signal));
  const applied = new GlobalsApplication(session, options);
  try {
    return await applied.run(statements);
  } catch (error) {
    signal.throwIfAborted();
    throw applied.failure(error);
  }
}

async function readScript(raw: ByteStream, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let size_bytes = 0;
  try {
    for await (const chunk of raw) {
      size_bytes += chunk.length;
      if (size_bytes > SCRIPT_MAX_BYTES) {
        const max = formatSize(SCRIPT_MAX_BYTES);
        throw new BackupError('RESTORE_FAILED', `the archive of roles is larger than ${max}`);
      }
      chunks.push(Buffer.from(chunk));
    }
  } catch (error) {
    signal.throwIfAborted();
    const message = `reading the archive of roles failed: ${reasonOf(error)}; nothing was changed`;
    throw new BackupError('RESTORE_FAILED', message, { cause: error });
  }
  if (size_bytes === 0) throw new BackupError('DUMP_EMPTY', 'the archive of roles holds nothing');
  const bytes = Buffer.concat(chunks);
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}

class GlobalsApplication {
  readonly #session: Session;
  readonly #options: GlobalsOptions;
  readonly #roles = new Set<string>();
  readonly #tablespaces = new Set<string>();
  readonly #memberships = new Set<string>();
  /** Roles and tablespaces that were made now. */
  readonly #madeRoles = new Set<string>();
  readonly #madeTablespaces = new Set<string>();
  readonly #existing: string[] = [];
  #committed = false;
  /** What is being done, for a message; without its text, which may hold a password. */
  #doing = 'reading the roles of the server';
  /** Of the tablespace that is being made. */
  #location: string | undefined;
  /** Whether what is being done goes by the machine: a setting of another server, a directory on this one. */
  #isOfMachine = false;

  constructor(session: Session, options: GlobalsOptions) {
    this.#session = session;
    this.#options = options;
  }

  async run(statements: readonly GlobalsStatement[]): Promise<GlobalsResult> {
    await this.#readServer();
    const ofTablespaces = statements.filter(
      ({ kind }) => kind === 'createTablespace' || kind === 'ofTablespace',
    );
    for (const statement of ofTablespaces) await this.#assertLocation(statement);
    await this.#session.query('BEGIN');
    for (const statement of statements) await this.#applyToRoles(statement);
    this.#doing = 'committing the roles';
    await this.#session.query('COMMIT');
    this.#committed = true;
    for (const statement of ofTablespaces) await this.#applyToTablespaces(statement);
    return { made: [...this.#madeRoles, ...this.#madeTablespaces], existing: this.#existing };
  }

  /** What was thrown, with what was made until then. */
  failure(error: unknown): BackupError {
    const roles =
      this.#committed && this.#madeRoles.size > 0
        ? `these roles were made: ${[...this.#madeRoles].join(', ')}`
        : '';
    const tablespaces =
      this.#madeTablespaces.size > 0
        ? `these tablespaces were made: ${[...this.#madeTablespaces].join(', ')}`
        : '';
    const state = [roles, tablespaces].filter((part) => part !== '').join('; ');
    const message = reasonOf(error);
    const hint = error instanceof BackupError ? error.hint : hintOfGlobals(error, message, this.#location);
    return new BackupError(
      this.#options.scratch && this.#isLack(error) ? 'NOT_PROVABLE' : 'RESTORE_FAILED',
      `${this.#doing} failed: ${message}; ${state === '' ? 'nothing was changed' : state}`,
      {
        hint,
        path: error instanceof BackupError ? error.path : undefined,
        cause: error,
      },
    );
  }

  /** Whether it says nothing of the archive; a throwaway cluster is asked by a superuser. */
  #isLack(error: unknown): boolean {
    const state = sqlState(error);
    if (state === undefined) return error instanceof BackupError && error.code !== 'RESTORE_FAILED';
    return isLackState(state, { superuser: true }) || (this.#isOfMachine && OTHER_VALUE.has(state));
  }

  async #readServer(): Promise<void> {
    for (const name of await namesOnServer(this.#session, 'roles')) this.#roles.add(name);
    for (const name of await namesOnServer(this.#session, 'tablespaces')) this.#tablespaces.add(name);
    const members = await this.#session.query<{ role: string; member: string }>(
      `SELECT pg_catalog.pg_get_userbyid(roleid)::text AS role, pg_catalog.pg_get_userbyid(member)::text AS member
         FROM pg_catalog.pg_auth_members`,
    );
    for (const { role, member } of members) this.#memberships.add(membershipKey(role, member));
  }

  async #applyToRoles(statement: GlobalsStatement): Promise<void> {
    const { text } = statement;
    switch (statement.kind) {
      case 'setting':
        // Of the others, some are about the script and some about the session it was meant for.
        if (statement.name === 'standard_conforming_strings') await this.#session.query(text);
        return;
      case 'createRole':
        await this.#createRole(statement.role, text);
        return;
      case 'ofRole':
        if (!this.#madeRoles.has(statement.role)) return;
        if (statement.database !== undefined && !(await this.#hasDatabase(statement.database))) return;
        this.#isOfMachine = true;
        await this.#run(`setting up the role ${statement.role}`, text);
        this.#isOfMachine = false;
        return;
      case 'membership':
        await this.#grant(statement);
        return;
      case 'ofParameter':
        if (this.#options.major < PARAMETERS_MAJOR || !this.#madeRoles.has(statement.grantee)) return;
        this.#isOfMachine = true;
        await this.#run(`granting the role ${statement.grantee} a parameter`, text);
        this.#isOfMachine = false;
        return;
      case 'createTablespace':
      case 'ofTablespace':
        return;
      default:
        statement satisfies never;
    }
  }

  async #createRole(role: string, text: string): Promise<void> {
    if (this.#roles.has(role)) {
      this.#existing.push(role);
      return;
    }
    await this.#run(`making the role ${role}`, text);
    this.#roles.add(role);
    this.#madeRoles.add(role);
  }

  async #grant({
    text,
    role,
    member,
    withoutGrantor,
  }: Extract<GlobalsStatement, { kind: 'membership' }>): Promise<void> {
    if (this.#memberships.has(membershipKey(role, member))) return;
    this.#doing = `making ${member} a member of the role ${role}`;
    await this.#session.query('SAVEPOINT membership');
    try {
      await this.#session.query(text);
    } catch (error) {
      if (withoutGrantor === text) throw error;
      // Who granted it may be missing here, or may not grant it: servers from 16 on want more of a grantor.
      await this.#session.query('ROLLBACK TO SAVEPOINT membership');
      await this.#session.query(withoutGrantor);
    }
    await this.#session.query('RELEASE SAVEPOINT membership');
  }

  async #hasDatabase(name: string): Promise<boolean> {
    const rows = await this.#session.query('SELECT FROM pg_catalog.pg_database WHERE datname = $1', [name]);
    return rows.length > 0;
  }

  /** Before anything is changed, where the role may look. */
  async #assertLocation(statement: GlobalsStatement): Promise<void> {
    if (statement.kind !== 'createTablespace' || this.#options.tablespaceDirectory !== undefined) return;
    const { tablespace, location } = statement;
    if (this.#tablespaces.has(tablespace) || location === '') return;
    this.#doing = `looking for the directory of the tablespace ${tablespace}`;
    try {
      const [row] = await this.#session.query<{ isdir: boolean | null }>(
        'SELECT isdir FROM pg_catalog.pg_stat_file($1, true)',
        [location],
      );
      if (row?.isdir === true) return;
    } catch (error) {
      if (sqlState(error) === NOT_PERMITTED) return;
      throw error;
    }
    throw new BackupError('RESTORE_FAILED', `the server has no directory ${location}`, {
      hint: hintOfLocation(location),
      path: location,
    });
  }

  async #applyToTablespaces(statement: GlobalsStatement): Promise<void> {
    const { text } = statement;
    if (statement.kind === 'ofTablespace') {
      if (!this.#madeTablespaces.has(statement.tablespace)) return;
      await this.#run(`setting up the tablespace ${statement.tablespace}`, text);
    }
    if (statement.kind !== 'createTablespace') return;
    const { tablespace, withoutLocation } = statement;
    if (this.#tablespaces.has(tablespace)) {
      this.#existing.push(tablespace);
      return;
    }
    const { tablespaceDirectory } = this.#options;
    const location = (await tablespaceDirectory?.()) ?? statement.location;
    this.#location = location;
    this.#isOfMachine = true;
    if (location === '') await this.#session.query('SET allow_in_place_tablespaces = on');
    const there = `${withoutLocation} LOCATION ${escapeLiteral(location)}`;
    await this.#run(
      `making the tablespace ${tablespace} in ${location}`,
      tablespaceDirectory === undefined ? text : there,
    );
    this.#isOfMachine = false;
    this.#location = undefined;
    this.#madeTablespaces.add(tablespace);
  }

  async #run(what: string, text: string): Promise<void> {
    this.#doing = what;
    await this.#session.query(text);
  }
}

function membershipKey(role: string, member: string): string {
  return `${role}\0${member}`;
}

function hintOfLocation(location: string): string {
  return `On the machine of the server: make ${location}, empty, owned by the user that runs the server, mode 0700.`;
}

/** @param location of the tablespace that was being made. */
function hintOfGlobals(error: unknown, message: string, location: string | undefined): string | undefined {
  if (location !== undefined && sqlState(error) === IN_USE) {
    return `${location} holds a tablespace already, of another server or of one that is gone: make this one in another directory by hand, or drop what is there.`;
  }
  if (location !== undefined && sqlState(error) !== NOT_PERMITTED) return hintOfLocation(location);
  if (sqlState(error) === NOT_PERMITTED) return 'Apply them as a superuser.';
  return hintOf(message);
}
