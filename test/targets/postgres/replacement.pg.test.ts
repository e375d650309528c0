import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nameBeside } from '../../../src/targets/postgres/replacement.ts';
import { type Cluster, startCluster } from '../../../tools/cluster.ts';
import { dumpOf, streamOf } from '../../support/dumps.ts';
import { CUSTOM, databasesOf, failureOf, PLAIN, SIGNAL, script, targetOf } from './restoring.ts';

const NAME = 'Shop "é" with a name that is nearly as long as a name may be';
const CLEAN = { ...PLAIN, clean: true };
const NEW = script('CREATE TABLE public.t (v text);', "INSERT INTO public.t VALUES ('new');");
let cluster: Cluster;
let url = '';

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.psql(
    'postgres',
    'CREATE ROLE owner; CREATE ROLE "Gr ant"; CREATE ROLE reader; CREATE ROLE plain LOGIN CREATEDB;',
  );
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});
beforeEach(async () => {
  url = cluster.urlOf(NAME);
  const name = `"${NAME.replaceAll('"', '""')}"`;
  await cluster.psql('postgres', `DROP DATABASE IF EXISTS ${name} WITH (FORCE);`);
  await cluster.psql(
    'postgres',
    `CREATE DATABASE ${name} TEMPLATE template0 OWNER owner LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' CONNECTION LIMIT 7;`,
  );
  await cluster.psql(
    'postgres',
    `ALTER DATABASE ${name} SET search_path = "$user", "Sche ""ma", public;
     ALTER DATABASE ${name} SET default_transaction_read_only = on;
     ALTER DATABASE ${name} SET app.greeting = 'it''s, "here"';
     ALTER ROLE reader IN DATABASE ${name} SET work_mem = '9MB';
     COMMENT ON DATABASE ${name} IS 'the ''shop''';
     REVOKE ALL ON DATABASE ${name} FROM PUBLIC;
     GRANT CONNECT ON DATABASE ${name} TO "Gr ant" WITH GRANT OPTION;
     SET ROLE "Gr ant"; GRANT CONNECT ON DATABASE ${name} TO reader; RESET ROLE;`,
  );
  await cluster.psql(
    NAME,
    "SET default_transaction_read_only = off; CREATE TABLE public.t (v text); INSERT INTO public.t VALUES ('old');",
  );
});

/** Everything that is said about the database, but its OID. */
async function likeness(): Promise<string> {
  return await cluster.psql(
    'postgres',
    `SELECT to_jsonb(d) - 'oid' - 'datfrozenxid' - 'datminmxid', shobj_description(d.oid, 'pg_database'),
            (SELECT string_agg(setrole::regrole || setconfig::text, ' ' ORDER BY setrole)
               FROM pg_db_role_setting s WHERE s.setdatabase = d.oid)
       FROM pg_database d WHERE datname LIKE 'Shop%'`,
  );
}

async function value(): Promise<string> {
  return await cluster.psql(NAME, 'SELECT v FROM public.t');
}

describe('replacing a database', () => {
  it('keeps everything that is said about it, and nothing of what it held', async () => {
    const before = await likeness();
    const databases = await databasesOf(cluster);
    expect(before).toContain('read_only=on');
    const target = targetOf(url);
    const remarks = await target.restore(streamOf(NEW), CLEAN, SIGNAL);
    expect(await value()).toBe('new');
    expect(await likeness()).toBe(before);
    expect(await databasesOf(cluster)).toEqual(databases);
    expect(remarks).toEqual([]);
  });

  it('works for custom archives', async () => {
    await cluster.createDatabase('new');
    await cluster.psql('new', "CREATE TABLE t (v text); INSERT INTO t VALUES ('custom')");
    const archive = await dumpOf(cluster, 'new', '--format=custom');
    await targetOf(url).restore(streamOf(archive), { ...CUSTOM, clean: true }, SIGNAL);
    expect(await value()).toBe('custom');
  });

  it('leaves the old one when the restore fails, and drops its own', async () => {
    const before = [await likeness(), await databasesOf(cluster)];
    const error = await failureOf(
      targetOf(url).restore(streamOf(script('CREATE TABLE t ();', 'CREATE TABLE t ();')), CLEAN, SIGNAL),
    );
    expect(error.code).toBe('RESTORE_FAILED');
    expect(error.message).toMatch(
      /; the database "Shop .*" is as it was; the database "Shop .*_cofre_\w{8}" that was made for it was dropped again$/,
    );
    expect([await likeness(), await databasesOf(cluster)]).toEqual(before);
    expect(await value()).toBe('old');
  });

  it('leaves the old one when it is cancelled', async () => {
    const before = [await likeness(), await databasesOf(cluster)];
    const controller = new AbortController();
    async function* cancelled() {
      yield Buffer.from(NEW);
      controller.abort();
      controller.signal.throwIfAborted();
    }
    const error = await failureOf(targetOf(url).restore(cancelled(), CLEAN, controller.signal));
    expect(error).toMatchObject({ code: 'CANCELLED', message: expect.stringContaining('is as it was') });
    expect([await likeness(), await databasesOf(cluster)]).toEqual(before);
  });

  it('does not begin while others are in it, and names them', async () => {
    const before = await databasesOf(cluster);
    const client = new Client({ connectionString: url, application_name: 'web shop' });
    await client.connect();
    try {
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      let read = false;
      async function* raw() {
        read = true;
        yield Buffer.from(NEW);
      }
      const error = await failureOf(targetOf(url).restore(raw(), CLEAN, SIGNAL));
      expect(error.code).toBe('TARGET_REFUSED');
      expect(error.message).toContain(`pid ${rows[0]?.pid} (web shop, user postgres)`);
      expect(error.message).toMatch(/; nothing was changed$/);
      expect(read).toBe(false);
    } finally {
      await client.end();
    }
    expect(await databasesOf(cluster)).toEqual(before);
  });

  it('is given up when somebody came in the meantime', async () => {
    const before = [await likeness(), await databasesOf(cluster)];
    const client = new Client({ connectionString: url, application_name: 'late' });
    async function* raw() {
      await client.connect();
      yield Buffer.from(NEW);
    }
    try {
      const error = await failureOf(targetOf(url).restore(raw(), CLEAN, SIGNAL));
      expect(error).toMatchObject({
        code: 'TARGET_REFUSED',
        message: expect.stringMatching(/late.*is as it was/),
      });
    } finally {
      await client.end();
    }
    expect([await likeness(), await databasesOf(cluster)]).toEqual(before);
    expect(await value()).toBe('old');
  });

  it('keeps one with a subscription, whose slot the restored one goes on with, and says so', async () => {
    await cluster.psql(
      NAME,
      `SET default_transaction_read_only = off;
       CREATE SUBSCRIPTION "o'ld" CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false);`,
    );
    const remarks = await targetOf(url).restore(streamOf(NEW), CLEAN, SIGNAL);
    expect(await value()).toBe('new');
    const [aside = ''] = (await databasesOf(cluster)).filter((name) => name.includes('_replaced_'));
    expect(remarks).toEqual([
      expect.stringContaining(`is still there, as "${aside}": it has the subscriptions "o'ld", whose slots`),
    ]);
    const slots = 'SELECT subname, subenabled, subslotname FROM pg_subscription';
    expect(await cluster.psql('postgres', slots)).toBe("o'ld|f|o'ld");
    // The next one names what an earlier one left, also one that died.
    const dead = nameBeside(NAME, '_cofre_0123abcd');
    await cluster.createDatabase(dead);
    const again = await targetOf(url).restore(streamOf(NEW), CLEAN, SIGNAL);
    for (const name of [aside, dead]) {
      expect(again.join('\n')).toContain(`DROP DATABASE "${name.replaceAll('"', '""')}";`);
    }
    await cluster.psql(
      aside,
      `SET default_transaction_read_only = off; ALTER SUBSCRIPTION "o'ld" SET (slot_name = NONE);
       DROP SUBSCRIPTION "o'ld";`,
    );
    for (const name of [aside, dead]) {
      await cluster.psql('postgres', `DROP DATABASE "${name.replaceAll('"', '""')}"`);
    }
  });

  it('drops a new one that is not wanted, though a subscription was restored into it', async () => {
    const before = await databasesOf(cluster);
    const text = script(
      "CREATE SUBSCRIPTION copy CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false, slot_name = 'kept');",
      'SELECT 1/0;',
    );
    const options = { ...CLEAN, singleTransaction: false };
    const error = await failureOf(targetOf(url).restore(streamOf(text), options, SIGNAL));
    expect(error.message).toMatch(/was dropped again$/);
    expect(await databasesOf(cluster)).toEqual(before);
  });

  it('does not begin for a role that may not do all of it', async () => {
    const before = await databasesOf(cluster);
    await cluster.psql(
      'postgres',
      `GRANT owner TO plain; GRANT CONNECT ON DATABASE "${NAME.replaceAll('"', '""')}" TO plain`,
    );
    const error = await failureOf(
      targetOf(cluster.urlOf(NAME, 'plain')).restore(streamOf(NEW), CLEAN, SIGNAL),
    );
    // The setting of a role, which stands in the catalog of databases.
    expect(error.message).toMatch(/^permission denied[^;]*;/);
    expect(error.message).toMatch(/; nothing was changed$/);
    expect(await databasesOf(cluster)).toEqual(before);
    expect(await value()).toBe('old');
  });
});

describe('the name beside a name', () => {
  it('is never longer than PostgreSQL keeps, and no character is cut through', () => {
    expect(nameBeside('shop', '_cofre_1')).toBe('shop_cofre_1');
    for (const name of ['a'.repeat(63), `${'a'.repeat(54)}éé`, `${'a'.repeat(53)}éé`, '😀'.repeat(15)]) {
      const beside = nameBeside(name, '_cofre_1');
      expect(Buffer.byteLength(beside)).toBeLessThanOrEqual(63);
      expect(Buffer.byteLength(beside)).toBeGreaterThan(59);
      expect(beside).toMatch(/^[aé😀]+_cofre_1$/u);
    }
  });
});
