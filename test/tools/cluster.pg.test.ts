import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../tools/cluster.ts';

const CLUSTER_MODULE = join(import.meta.dirname, '../../tools/cluster.ts');

async function connect(url: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query('SELECT current_database() AS db, current_user AS usr')).rows;
  } finally {
    await client.end();
  }
}

async function postmasterPid(cluster: Cluster): Promise<number> {
  return Number.parseInt(await readFile(join(cluster.dataDir, 'postmaster.pid'), 'utf8'), 10);
}

/** A server whose parent has gone stays a zombie where nothing reaps: in a container without an init. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

test('clusters of one process are different servers, also where the first is a copy', async () => {
  const identifier = 'SELECT system_identifier FROM pg_control_system()';
  await using first = await startCluster();
  await using second = await startCluster();
  const [one, two] = await Promise.all([first, second].map((each) => each.psql('postgres', identifier)));
  expect(one).not.toBe(two);
});

test('a cluster serves databases by any name, over the socket only, and is gone when disposed of', async () => {
  let pid: number;
  let dir: string;
  {
    await using cluster = await startCluster();
    pid = await postmasterPid(cluster);
    // PostgreSQL refuses to be root, which CI machines often are.
    expect((await stat(cluster.dataDir)).uid).not.toBe(0);
    dir = dirname(cluster.dataDir);
    const url = await cluster.createDatabase('We"ird é');
    expect(await connect(url)).toEqual([{ db: 'We"ird é', usr: 'postgres' }]);
    expect(await cluster.psql('We"ird é', 'SHOW listen_addresses; SHOW server_encoding;')).toBe('\nUTF8');
    await expect(cluster.psql('postgres', 'SELECT 1/0; SELECT 2;')).rejects.toThrow('division by zero');
    expect(() => cluster.tcpUrlOf('postgres')).toThrow('listenPort');
  }
  // pg_ctl waits for the removal of the pid file, which the server does just before it ends.
  await expect.poll(() => isAlive(pid), { timeout: 20_000 }).toBe(false);
  expect(existsSync(dir)).toBe(false);
});

test('it stops, refuses, and starts again with its data and settings', async () => {
  await using cluster = await startCluster({ settings: { application_name: "it's" } });
  await cluster.psql('postgres', 'CREATE TABLE kept AS SELECT 1 AS one;');
  await cluster.stop();
  await expect(connect(cluster.url)).rejects.toThrow();
  await cluster.start();
  expect(await cluster.psql('postgres', 'SELECT one FROM kept;')).toBe('1');
  expect(await readFile(join(cluster.dataDir, 'postgresql.conf'), 'utf8')).toContain(
    "application_name = 'it''s'",
  );
});

test('scram asks everybody for a password, on the socket and on 127.0.0.1', async () => {
  await using cluster = await startCluster({ auth: 'scram', listenPort: 0 });
  await cluster.psql('postgres', "CREATE ROLE reader LOGIN PASSWORD 'right';");
  for (const base of [cluster.urlOf('postgres', 'reader'), cluster.tcpUrlOf('postgres', 'reader')]) {
    const url = new URL(base);
    url.password = 'wrong';
    await expect(connect(url.href)).rejects.toMatchObject({ code: '28P01' });
    url.password = 'right';
    expect(await connect(url.href)).toEqual([{ db: 'postgres', usr: 'reader' }]);
  }
});

test('a parent too long for a socket gets a short socket directory, removed as well', async () => {
  const top = await mkdtemp('/tmp/cofre-long-');
  const parent = join(top, 'x'.repeat(100));
  await mkdir(parent, { mode: 0o755 });
  // mkdtemp makes it private, and the server may be another user.
  await chmod(top, 0o755);
  try {
    let socketDir: string;
    {
      await using cluster = await startCluster({ parent });
      socketDir = cluster.socketDir;
      expect(cluster.dataDir.startsWith(parent)).toBe(true);
      expect(await connect(cluster.url)).toHaveLength(1);
    }
    expect(existsSync(socketDir)).toBe(false);
  } finally {
    await rm(top, { recursive: true });
  }
});

test('a cluster that does not start says why, and leaves nothing', async () => {
  const parent = await mkdtemp('/tmp/cofre-fail-');
  await chmod(parent, 0o755);
  const starting = startCluster({ parent, settings: { no_such_setting: 'x' } });
  await expect(starting).rejects.toThrow('no_such_setting');
  expect(await readdir(parent)).toEqual([]);
  await rm(parent, { recursive: true });
});

test.each(['SIGKILL', 'throw'])('nothing is left of it when its process ends by %s', async (how) => {
  const dir = await mkdtemp('/tmp/cofre-orphan-');
  const script = join(dir, 'script.mts');
  const end = how === 'throw' ? "throw new Error('test')" : `process.kill(process.pid, '${how}')`;
  await writeFile(
    script,
    `import { readFileSync } from 'node:fs';
     const { startCluster } = await import(${JSON.stringify(CLUSTER_MODULE)});
     const cluster = await startCluster();
     const pid = Number.parseInt(readFileSync(cluster.dataDir + '/postmaster.pid', 'utf8'), 10);
     process.stdout.write(JSON.stringify({ pid, dataDir: cluster.dataDir }), () => { ${end}; });`,
  );
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'ignore'] });
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  await once(child, 'close');
  const { pid, dataDir } = JSON.parse(printed) as { pid: number; dataDir: string };
  await expect.poll(() => isAlive(pid) || existsSync(dataDir), { timeout: 20_000 }).toBe(false);
  await rm(dir, { recursive: true });
});
