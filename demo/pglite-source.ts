import type { PGlite } from '@electric-sql/pglite';
import { pgDump } from '@electric-sql/pglite-tools/pg_dump';
import { BackupError } from '../src/domain/errors.ts';
import type { Capture, CaptureFacts, Finding, Source } from '../src/domain/ports.ts';

const CHUNK_BYTES = 65_536;
const FACTS_SQL = `
  SELECT current_database() AS database, current_setting('server_version') AS server_version,
    system_identifier::text AS system_identifier
  FROM pg_control_system()`;

/** An embedded database as a source. Its dump is made in memory, whole, before the first byte is read. */
export class PgliteSource implements Source {
  readonly name: string;
  readonly type = 'database';
  readonly format = 'plain';
  readonly #database: PGlite;

  constructor(name: string, database: PGlite) {
    this.name = name;
    this.#database = database;
  }

  async preflight(): Promise<Finding[]> {
    return [];
  }

  /** Throws TOOL_FAILED with what pg_dump said. */
  async capture(signal: AbortSignal): Promise<Capture> {
    signal.throwIfAborted();
    const facts = await this.#facts();
    const dump = await this.#dump();
    signal.throwIfAborted();
    const tool_version = /^-- Dumped by pg_dump version (\S+)/m.exec(
      dump.toString('latin1', 0, CHUNK_BYTES),
    )?.[1];
    return {
      facts: { ...facts, ...(tool_version === undefined ? {} : { tool_version }) },
      stream: chunksOf(dump),
      remarks: () => ({ changed: [], incomplete: [] }),
    };
  }

  async #facts(): Promise<CaptureFacts> {
    const { rows } = await this.#database.query<CaptureFacts>(FACTS_SQL);
    return rows[0] ?? {};
  }

  async #dump(): Promise<Buffer> {
    try {
      const file = await pgDump({ pg: this.#database });
      return Buffer.from(await file.arrayBuffer());
    } catch (error) {
      throw new BackupError('TOOL_FAILED', `pg_dump of PGlite failed: ${(error as Error).message}`, {
        hint: 'Try COFRE_DEMO_DATABASE=postgres, with PostgreSQL installed.',
        cause: error,
      });
    }
  }
}

async function* chunksOf(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}
