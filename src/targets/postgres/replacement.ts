import { randomBytes } from 'node:crypto';
import { escapeIdentifier } from 'pg';
import { BackupError } from '../../domain/errors.ts';
import { dropDatabase } from '../../postgres/drop-database.ts';
import type { Session } from '../../postgres/session.ts';
import { sqlState } from '../../postgres/sql-state.ts';
import { type DatabaseLikeness, likenessStatements, readLikeness } from './database-likeness.ts';
import { dropAgain, type Place, reasonOf } from './place.ts';
import { sessionsIn } from './sessions.ts';
import { createTargetDatabase } from './target-database.ts';
import type { TargetServer } from './target-server.ts';

/** PostgreSQL cuts longer names off. */
const NAME_MAX_BYTES = 63;
/** SQLSTATE: other sessions are in the database. */
const IN_USE = '55006';

/**
 * A database beside the one that is there, which takes its name, and all that is said about it, once the restore
 * has succeeded:
 *
 *   shop, shop_cofre_1a2b ── one transaction ──▶ shop_replaced_1a2b, shop ── drop ──▶ shop
 */
export class ReplacementPlace implements Place {
  readonly database: string;
  readonly remarks: string[] = [];
  readonly #server: TargetServer;
  readonly #replaced: string;
  readonly #aside: string;
  readonly #major: number;
  readonly #likeness: DatabaseLikeness;
  #swapped = false;

  private constructor(server: TargetServer, replaced: string, major: number, likeness: DatabaseLikeness) {
    const random = randomBytes(4).toString('hex');
    this.#server = server;
    this.#replaced = replaced;
    this.database = nameBeside(replaced, `_cofre_${random}`);
    this.#aside = nameBeside(replaced, `_replaced_${random}`);
    this.#major = major;
    this.#likeness = likeness;
  }

  /** Throws TARGET_REFUSED naming the sessions in the database that is to be replaced, or what `pg` throws. */
  static async make(
    server: TargetServer,
    replaced: string,
    major: number,
    signal: AbortSignal,
  ): Promise<ReplacementPlace> {
    await using session = await server.openBeside(replaced, signal);
    const likeness = await readLikeness(session, replaced);
    if (likeness === undefined) throw new BackupError('TARGET_REFUSED', `the database "${replaced}" is gone`);
    await assertUnused(session, replaced);
    const place = new ReplacementPlace(server, replaced, major, likeness);
    await place.#make(session);
    return place;
  }

  async #make(session: Session): Promise<void> {
    const { owner, locale, tablespace } = this.#likeness;
    const name = this.database;
    const wanted = { name, owner, locale, ...(tablespace === undefined ? {} : { tablespace }) };
    this.remarks.push(...(await createTargetDatabase(session, this.#major, wanted)));
    try {
      // Whether the role may do all this is known now and not after hours of restoring. Only tried, since
      // some settings, as default_transaction_read_only, would be in the way.
      await session.query('BEGIN');
      await this.#makeAlike(session);
      await session.query('ROLLBACK');
    } catch (error) {
      await dropAgain(this.#server, name, this.#major, name);
      throw error;
    }
  }

  async finish(signal: AbortSignal): Promise<void> {
    const { database, remarks } = this;
    await using session = await this.#server.openBeside(this.#replaced, signal);
    await assertUnused(session, this.#replaced);
    try {
      await session.query('BEGIN');
      await this.#makeAlike(session);
      await session.query(
        `ALTER DATABASE ${escapeIdentifier(this.#replaced)} RENAME TO ${escapeIdentifier(this.#aside)}`,
      );
      await session.query(
        `ALTER DATABASE ${escapeIdentifier(database)} RENAME TO ${escapeIdentifier(this.#replaced)}`,
      );
      await session.query('COMMIT');
      this.#swapped = true;
    } catch (error) {
      if (sqlState(error) !== IN_USE) throw error;
      await session.query('ROLLBACK');
      await assertUnused(session, this.#replaced);
      await assertUnused(session, database);
      throw error;
    }
    try {
      if (this.#likeness.isTemplate) {
        await session.query(`ALTER DATABASE ${escapeIdentifier(this.#aside)} IS_TEMPLATE false`);
      }
      await dropDatabase(session, this.#aside, this.#major);
    } catch (error) {
      remarks.push(
        `the database that was replaced is still there, as "${this.#aside}": it could not be dropped (${reasonOf(error)})`,
      );
    }
  }

  async abandon(applicationName: string): Promise<string> {
    if (this.#swapped) return `the database "${this.#replaced}" is the restored one`;
    const dropped = await dropAgain(this.#server, this.database, this.#major, applicationName);
    return `the database "${this.#replaced}" is as it was; ${dropped}`;
  }

  async #makeAlike(session: Session): Promise<void> {
    for (const statement of likenessStatements(this.#likeness, this.database)) await session.query(statement);
  }
}

/** Throws TARGET_REFUSED naming who is in the database. */
async function assertUnused(session: Session, database: string): Promise<void> {
  const others = await sessionsIn(session, database);
  if (others.length === 0) return;
  throw new BackupError(
    'TARGET_REFUSED',
    `the database "${database}" is in use and cannot be replaced: ${others.join(', ')}`,
    { hint: 'Stop what uses it, or end its sessions with pg_terminate_backend, and try again.' },
  );
}

/** The name with a suffix, cut between characters to what PostgreSQL keeps. */
export function nameBeside(name: string, suffix: string): string {
  const room = NAME_MAX_BYTES - Buffer.byteLength(suffix);
  // What is left of a character that was cut through decodes to U+FFFD.
  const kept = Buffer.from(name).subarray(0, room).toString();
  return (Buffer.byteLength(name) <= room ? name : kept.replace(/\ufffd$/, '')) + suffix;
}
