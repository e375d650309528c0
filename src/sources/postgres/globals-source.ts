import { GLOBALS_SUFFIX } from '../../domain/archive-name.ts';
import { BackupError } from '../../domain/errors.ts';
import type { Capture, CaptureFacts, Finding, Source } from '../../domain/ports.ts';
import { childOutput } from '../../lib/child.ts';
import { connect } from '../../postgres/connect.ts';
import { queryError } from '../../postgres/connect-errors.ts';
import { resolveConnection } from '../../postgres/connection-params.ts';
import { connectionString } from '../../postgres/libpq-program.ts';
import { readServerFacts } from '../../postgres/server-facts.ts';
import { findTool } from '../../postgres/tools.ts';
import { dumpEnvironment, dumpParams } from './dump-session.ts';
import { runGlobalsPreflight } from './globals-preflight.ts';
import { dumpError } from './pg-dump.ts';
import { assertUri } from './uri.ts';

export interface GlobalsSourceOptions {
  /** That of the source of the database it goes with. */
  database: string;
  /** A connection URI with its secrets resolved. Never shown. */
  url: string;
  /** With the hashes of the roles' passwords. */
  passwords: boolean;
  /** Where PostgreSQL's programs are; found when absent. */
  binDir?: string | undefined;
  /** What libpq's variables, PATH and HOME are taken from. Default: that of this process. */
  env?: NodeJS.ProcessEnv;
}

/** The roles and tablespaces of a server, which belong to no database, read by pg_dumpall. */
export class GlobalsSource implements Source {
  readonly name: string;
  readonly type = 'database';
  readonly format = 'plain';
  // Private, so that no inspection of this object shows the URL.
  readonly #options: GlobalsSourceOptions;
  readonly #env: NodeJS.ProcessEnv;

  /** Throws CONFIG_INVALID, without a part of it, when the URI is malformed. */
  constructor(options: GlobalsSourceOptions) {
    this.name = options.database + GLOBALS_SUFFIX;
    assertUri(options.database, options.url);
    this.#options = options;
    this.#env = options.env ?? process.env;
  }

  async preflight(signal: AbortSignal): Promise<Finding[]> {
    const { url, passwords, binDir } = this.#options;
    return await runGlobalsPreflight({ source: this.name, url, passwords, binDir, env: this.#env }, signal);
  }

  /**
   * Throws SERVER_UNREACHABLE, SERVER_AUTH, SERVER_TOO_NEW, TOOL_MISSING or CONFIG_INVALID. The stream throws
   * these as well, and UNREADABLE and TOOL_FAILED.
   */
  async capture(signal: AbortSignal): Promise<Capture> {
    const { url, binDir, passwords } = this.#options;
    const params = await resolveConnection(url, this.#env);
    await using session = await connect(params, this.#env, signal);
    try {
      const { version, major, database, systemIdentifier } = await readServerFacts(session);
      const neededBy = `PostgreSQL ${version}`;
      const tool = await findTool('pg_dumpall', major, { binDir, env: this.#env, signal, neededBy });
      const facts: CaptureFacts = {
        database,
        server_version: version,
        tool_version: tool.version,
        ...(systemIdentifier === undefined ? {} : { system_identifier: systemIdentifier }),
      };
      const ofDump = await dumpParams(session, params);
      const args = [
        `--dbname=${connectionString(ofDump, session.target, tool.major)}`,
        // The database of the connection string is ignored; without this, it is `postgres` or `template1`.
        `--database=${database}`,
        '--no-password',
        '--globals-only',
        ...(passwords ? [] : ['--no-role-passwords']),
      ];
      const env = dumpEnvironment(this.#env, session.password);
      return {
        facts,
        stream: readGlobals(tool.path, args, env, signal),
        remarks: () => ({ changed: [], incomplete: [] }),
      };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof BackupError) throw error;
      throw queryError(error, session.target);
    }
  }
}

async function* readGlobals(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  let received = false;
  try {
    for await (const chunk of childOutput({ command, args, env, signal, label: 'pg_dumpall' })) {
      received = true;
      yield chunk;
    }
    signal.throwIfAborted();
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof BackupError ? dumpError(error, received) : error;
  }
}
