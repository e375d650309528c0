import { randomBytes } from 'node:crypto';
import { type Cluster, runPsql, startCluster } from '../../tools/cluster.ts';
import { findServerPrograms } from '../../tools/server-programs.ts';

/**
 * A server for tests that need databases and nothing else of it. Tests that stop the server, or make
 * roles, start a cluster of their own.
 */
export interface TestServer extends AsyncDisposable {
  /** Absent when the server is that of TEST_DATABASE_URL. */
  readonly cluster?: Cluster;
  readonly binDir: string;
  /** Returns the URL. On a foreign server the database's real name is unique to this run. */
  createDatabase(name: string): Promise<string>;
  /** `database`: a name given to createDatabase. Returns what psql printed, without the last newline. */
  psql(database: string, sql: string): Promise<string>;
}

/** The server of TEST_DATABASE_URL where that is set, a throwaway cluster otherwise. */
export async function usingCluster(): Promise<TestServer> {
  const url = process.env['TEST_DATABASE_URL'];
  if (url !== undefined && url !== '') return new ForeignServer(url);
  const cluster = await startCluster();
  return {
    cluster,
    binDir: cluster.binDir,
    createDatabase: async (name) => await cluster.createDatabase(name),
    psql: async (database, sql) => await cluster.psql(database, sql),
    [Symbol.asyncDispose]: async () => await cluster[Symbol.asyncDispose](),
  };
}

class ForeignServer implements TestServer {
  readonly binDir: string;
  readonly #url: string;
  readonly #prefix = `cofre_test_${randomBytes(4).toString('hex')}_`;
  readonly #created: string[] = [];

  constructor(url: string) {
    const binDir = findServerPrograms();
    if (binDir === undefined) throw new Error("PostgreSQL's programs were not found");
    this.binDir = binDir;
    this.#url = url;
  }

  async createDatabase(name: string): Promise<string> {
    const real = this.#prefix + name;
    await runPsql(this.binDir, this.#url, `CREATE DATABASE ${quoteIdentifier(real)};`);
    this.#created.push(real);
    return this.#urlOf(real);
  }

  async psql(database: string, sql: string): Promise<string> {
    return await runPsql(this.binDir, this.#urlOf(this.#prefix + database), sql);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const drops = this.#created.map(
      (name) => `DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE);`,
    );
    await runPsql(this.binDir, this.#url, drops.join('\n'));
  }

  #urlOf(database: string): string {
    const url = new URL(this.#url);
    url.pathname = `/${encodeURIComponent(database)}`;
    return url.href;
  }
}

function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
