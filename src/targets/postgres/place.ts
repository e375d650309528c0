import type { DatabaseLocale } from '../../domain/manifest.ts';
import { dropDatabase } from '../../postgres/drop-database.ts';
import { forgetSubscriptions, subscriptionsOf } from '../../postgres/subscriptions.ts';
import { findOccupants } from './occupants.ts';
import { endSessions } from './sessions.ts';
import { createTargetDatabase } from './target-database.ts';
import type { TargetServer } from './target-server.ts';

/** A database to restore into, and what becomes of it. */
export interface Place {
  readonly database: string;
  /** For people: how it differs from what was wanted. */
  readonly remarks: readonly string[];
  /** The restore succeeded. */
  finish(signal: AbortSignal): Promise<void>;
  /**
   * The restore did not succeed: undoes what can be undone, also after an abort. Returns in what state the target is,
   * as part of a sentence. Throws nothing.
   * @param applicationName of the sessions that restored.
   * @param committing whether the end of a single transaction may have been reached.
   */
  abandon(applicationName: string, committing: boolean): Promise<string>;
}

/** A database that was there, and empty. */
export class ExistingPlace implements Place {
  readonly database: string;
  readonly remarks = [];
  readonly #server: TargetServer;
  readonly #major: number;

  constructor(server: TargetServer, database: string, major: number) {
    this.#server = server;
    this.database = database;
    this.#major = major;
  }

  async finish(): Promise<void> {
    // It is where it belongs.
  }

  async abandon(applicationName: string, committing: boolean): Promise<string> {
    try {
      const held = await this.#server.cleanUpIn(this.database, async (session) => {
        await endSessions(session, applicationName);
        return await findOccupants(session, this.#major);
      });
      if (held.length === 0) return `nothing was changed in the database "${this.database}"`;
      if (committing) return `the database "${this.database}" holds the archive: it was committed`;
      return `the database "${this.database}" holds a part of the archive: ${held.slice(0, 5).join(', ')}`;
    } catch (error) {
      return `the database "${this.database}" may hold a part of the archive: it could not be looked at (${reasonOf(error)})`;
    }
  }
}

/** A database that holds something, to which a part of an archive is added in one transaction. */
export class SharedPlace implements Place {
  readonly database: string;
  readonly remarks = [];
  readonly #server: TargetServer;

  constructor(server: TargetServer, database: string) {
    this.#server = server;
    this.database = database;
  }

  async finish(): Promise<void> {
    // It is where it belongs.
  }

  async abandon(applicationName: string, committing: boolean): Promise<string> {
    const name = `the database "${this.database}"`;
    try {
      await this.#server.cleanUpIn(this.database, async (session) => {
        await endSessions(session, applicationName);
      });
    } catch (error) {
      return `${name} could not be looked at (${reasonOf(error)}): either all that was chosen is in it, or nothing`;
    }
    return committing
      ? `${name} may hold what was chosen: it was being committed`
      : `nothing was changed in ${name}`;
  }
}

/** A database that is made for the archive, and dropped again when the restore fails. */
export class CreatedPlace implements Place {
  readonly database: string;
  readonly remarks: readonly string[];
  readonly #server: TargetServer;
  readonly #major: number;

  private constructor(server: TargetServer, database: string, major: number, remarks: readonly string[]) {
    this.#server = server;
    this.database = database;
    this.#major = major;
    this.remarks = remarks;
  }

  /** Throws TARGET_REFUSED when it exists, or what `pg` throws. */
  static async make(
    server: TargetServer,
    database: string,
    major: number,
    locale: DatabaseLocale | undefined,
    signal: AbortSignal,
  ): Promise<CreatedPlace> {
    await using session = await server.openBeside(database, signal);
    const remarks = await createTargetDatabase(session, major, { name: database, locale });
    return new CreatedPlace(server, database, major, remarks);
  }

  async finish(): Promise<void> {
    // It has its name already.
  }

  async abandon(applicationName: string): Promise<string> {
    const name = this.database;
    return await dropAgain(this.#server, name, this.#major, applicationName);
  }
}

/** Drops a database that was made for a restore; returns what became of it, as part of a sentence. */
export async function dropAgain(
  server: TargetServer,
  database: string,
  major: number,
  applicationName: string,
): Promise<string> {
  try {
    await server.cleanUp(database, async (session) => {
      await endSessions(session, applicationName);
      const subscriptions = await subscriptionsOf(session, database, major);
      if (subscriptions.length > 0) {
        await server.cleanUpIn(database, async (inside) => await forgetSubscriptions(inside, subscriptions));
      }
      await dropDatabase(session, database, major);
    });
    return `the database "${database}" that was made for it was dropped again`;
  } catch (error) {
    return `the database "${database}" that was made for it is still there: it could not be dropped (${reasonOf(error)})`;
  }
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
