import { randomBytes } from 'node:crypto';
import { escapeIdentifier } from 'pg';
import { BackupError } from '../../domain/errors.ts';
import { describeSome } from '../../domain/plural.ts';
import { printable } from '../../domain/printable.ts';
import { dropDatabase } from '../../postgres/drop-database.ts';
import type { Session } from '../../postgres/session.ts';
import { sqlState } from '../../postgres/sql-state.ts';
import { subscriptionsOf } from '../../postgres/subscriptions.ts';
import { type DatabaseLikeness, likenessStatements, readLikeness } from './database-likeness.ts';
import { dropAgain, type Place, reasonOf } from './place.ts';
import { sessionsIn } from './sessions.ts';
import { createTargetDatabase } from './target-database.ts';
import type { TargetServer } from './target-server.ts';

/** PostgreSQL cuts longer names off. */
const NAME_MAX_BYTES = 63;
/** What stands between the name of a database and eight random digits: in that of the new one, and of the old. */
const RESTORED = '_cofre_';
const REPLACED = '_replaced_';
const RANDOM = /^[0-9a-f]{8}$/;
const NO_RANDOM = '00000000';
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
    const random = randomBytes(NO_RANDOM.length / 2).toString('hex');
    this.#server = server;
    this.#replaced = replaced;
    this.database = nameBeside(replaced, `${RESTORED}${random}`);
    this.#aside = nameBeside(replaced, `${REPLACED}${random}`);
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
    place.remarks.push(...(await leftBehind(session, replaced)));
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
    const kept = await this.#dropReplaced(session).catch(
      (error: unknown) => `it could not be dropped (${reasonOf(error)})`,
    );
    if (kept !== undefined) {
      remarks.push(`the database that was replaced is still there, as "${this.#aside}": ${kept}`);
    }
  }

  /** Returns why it stays, when it does. */
  async #dropReplaced(session: Session): Promise<string | undefined> {
    const aside = escapeIdentifier(this.#aside);
    if (this.#likeness.isTemplate) await session.query(`ALTER DATABASE ${aside} IS_TEMPLATE false`);
    const subscriptions = await subscriptionsOf(session, this.#aside, this.#major);
    if (subscriptions.length > 0) {
      // To drop them would either drop their slots, which the restored ones go on with, or leave slots behind that
      // fill the disk of the publisher.
      const names = printable(describeSome(subscriptions.map((name) => escapeIdentifier(name))));
      return `it has the subscriptions ${names}, whose slots at the publishers are those of the restored ones, too; in it, ALTER SUBSCRIPTION … DISABLE, ALTER SUBSCRIPTION … SET (slot_name = NONE), DROP SUBSCRIPTION …, then DROP DATABASE ${printable(aside)}`;
    }
    await dropDatabase(session, this.#aside, this.#major);
    return undefined;
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
    {
      hint: 'Stop what uses it, or end its sessions with pg_terminate_backend (those of a subscription with ALTER SUBSCRIPTION … DISABLE), and try again.',
    },
  );
}

/** For people: databases that earlier restores of this one left, as when they were killed, and nobody is in. */
async function leftBehind(session: Session, replaced: string): Promise<string[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT datname::text AS name FROM pg_catalog.pg_database d
      WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE datid = d.oid) ORDER BY 1`,
  );
  const prefixes = [RESTORED, REPLACED].map((suffix) =>
    nameBeside(replaced, `${suffix}${NO_RANDOM}`).slice(0, -NO_RANDOM.length),
  );
  const left = rows.filter(({ name }) =>
    prefixes.some((prefix) => name.startsWith(prefix) && RANDOM.test(name.slice(prefix.length))),
  );
  return left.map(({ name }) => {
    const shown = printable(escapeIdentifier(name));
    return `an earlier restore of "${printable(replaced)}" left the database ${shown}; when nobody needs it: DROP DATABASE ${shown};`;
  });
}

/** The name with a suffix, cut between characters to what PostgreSQL keeps. */
export function nameBeside(name: string, suffix: string): string {
  const room = NAME_MAX_BYTES - Buffer.byteLength(suffix);
  // What is left of a character that was cut through decodes to U+FFFD.
  const kept = Buffer.from(name).subarray(0, room).toString();
  return (Buffer.byteLength(name) <= room ? name : kept.replace(/\ufffd$/, '')) + suffix;
}
