import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { FULL_DATABASE, FULL_ROLES } from '../support/full-database.ts';
import { dumpedLines, refused, RestoreBed } from '../support/restore-bed.ts';
import { corruptByte } from '../support/workspace.ts';

/** Where the archives come from; reached over TCP as well. */
let source: Cluster;
/** Has the roles of the source. */
let target: Cluster;
/** Has none. */
let bare: Cluster;
let bed: RestoreBed;

const DATABASES = 'SELECT datname, oid FROM pg_database ORDER BY 1';

beforeAll(async () => {
  [source, target, bare] = await Promise.all([
    startCluster({ listenPort: 0 }),
    startCluster(),
    startCluster(),
  ]);
  await source.psql('postgres', `${FULL_ROLES} CREATE ROLE clerk; CREATE ROLE admin LOGIN SUPERUSER;`);
  await target.psql('postgres', `${FULL_ROLES} CREATE ROLE clerk;`);
  await source.psql(
    'postgres',
    "CREATE DATABASE shop TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
  );
  await source.createDatabase('full');
  await source.psql('full', FULL_DATABASE);
  await source.psql(
    'shop',
    `CREATE TABLE notes (id int PRIMARY KEY, note text);
     INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(1, 200) n;
     ALTER TABLE notes OWNER TO clerk; GRANT SELECT ON notes TO PUBLIC;
     CREATE SCHEMA sales; CREATE TABLE sales.orders (id int); INSERT INTO sales.orders VALUES (1), (2);
     CREATE TABLE sales.notes (id int);`,
  );
  const of = (name: string, database: string, rest = {}) => ({
    type: 'postgres',
    name,
    url: source.urlOf(database),
    ...rest,
  });
  bed = await new RestoreBed().backUp([
    of('full', 'full', { globals: true }),
    of('full_custom', 'full', { format: 'custom' }),
    of('shop', 'shop'),
    of('shop_custom', 'shop', { format: 'custom' }),
  ]);
});

afterAll(async () => {
  bed[Symbol.dispose]();
  await Promise.all([source, target, bare].map(async (cluster) => await cluster[Symbol.asyncDispose]()));
});

async function notesIn(cluster: Cluster, database: string): Promise<string> {
  return await cluster.psql(database, 'SELECT count(*) FROM notes');
}

describe('a database with one of everything', () => {
  test.each(['full', 'full_custom'])('comes back from the archive %s as it was', async (name) => {
    const filename = bed.nameOf(name);
    const { status, answer } = await bed.restore([filename, '--to', target.urlOf(name), '--create']);
    expect(answer).toEqual({
      success: true,
      filename,
      target: expect.stringMatching(new RegExp(`^${name} at /`)),
      dry_run: false,
      steps: expect.arrayContaining([
        expect.stringMatching(`^verified ${filename} \\(.*\\): 19 tables with`),
      ]),
      restored: { tables: 19, rows: 1_719 },
      compared: true,
      differences: [],
      duration_ms: expect.any(Number),
    });
    expect(status).toBe(0);
    expect(await dumpedLines(target, name)).toEqual(await dumpedLines(source, 'full'));
    expect(bed.left()).toEqual([]);
  });
});

describe('the target', () => {
  test('is made with the encoding and locale of the source, and not when it is there', async () => {
    const args = [bed.nameOf('shop'), '--to', target.urlOf('latin'), '--create'];
    const first = await bed.restore(args);
    expect(first.answer.error).toBeUndefined();
    expect(first.answer.restored).toEqual({ tables: 3, rows: 202 });
    expect(
      await target.psql(
        'latin',
        'SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = current_database()',
      ),
    ).toBe('LATIN1|C|C');
    const { code, message } = await refused(target, args, bed);
    expect({ code, message }).toEqual({
      code: 'TARGET_REFUSED',
      message: expect.stringMatching(/^the database latin at .* exists$/),
    });
  });

  test('must be there without --create, and empty without --clean', async () => {
    const filename = bed.nameOf('shop');
    const missing = await refused(target, [filename, '--to', target.urlOf('missing')], bed);
    expect(missing.message).toMatch(/^there is no database missing at /);
    expect(missing.hint).toContain('--create');
    await target.createDatabase('held');
    await target.psql('held', 'CREATE SCHEMA "My stuff"; CREATE TABLE "My stuff".mine ()');
    const held = await refused(target, [filename, '--to', target.urlOf('held')], bed);
    expect(held.message).toContain('is not empty: it holds table "My stuff".mine');
    expect(held.hint).toContain('--clean');
    await target.psql('held', 'DROP TABLE "My stuff".mine');
    expect((await bed.restore([filename, '--to', target.urlOf('held')])).status).toBe(0);
  });

  test('is replaced by --clean, and keeps its owner, settings and privileges', async () => {
    await target.createDatabase('live');
    await target.psql(
      'live',
      `CREATE TABLE old (id int); ALTER DATABASE live OWNER TO clerk; ALTER DATABASE live SET work_mem = '7MB';
       REVOKE CONNECT ON DATABASE live FROM PUBLIC; COMMENT ON DATABASE live IS 'the shop'`,
    );
    const facts = `SELECT datdba::regrole, datacl, shobj_description(oid, 'pg_database'), setconfig
      FROM pg_database JOIN pg_db_role_setting ON setdatabase = oid WHERE datname = 'live'`;
    const before = await target.psql('postgres', facts);
    const args = [bed.nameOf('shop_custom'), '--to', target.urlOf('live'), '--clean'];
    const planned = await bed.restore([...args, '--dry-run']);
    expect(planned.answer.steps?.join('\n')).toMatch(
      /would restore \S+ into a new database beside live at .*\nwould put it in the place of live at .*, which holds table public.old\n/,
    );
    const { status, answer } = await bed.restore(args);
    expect(answer.error).toBeUndefined();
    expect(status).toBe(0);
    expect(await notesIn(target, 'live')).toBe('200');
    expect(await target.psql('live', "SELECT to_regclass('old') IS NULL")).toBe('t');
    expect(before).toContain('work_mem=7MB');
    expect(await target.psql('postgres', facts)).toBe(before);
    expect(await target.psql('postgres', "SELECT datname FROM pg_database WHERE datname ~ '^live.'")).toBe(
      '',
    );
  });

  test.each(['shop', 'shop_custom'])(
    'stays as it was when --clean with the archive %s fails',
    async (name) => {
      const database = `old_${name}`;
      await target.createDatabase(database);
      await target.psql(database, 'CREATE TABLE notes AS SELECT 1 AS id');
      using copy = bed.copy();
      let filename = copy.nameOf(name);
      // The server has no type of that name: the archive is whole and cannot be restored.
      if (name === 'shop')
        filename = await copy.forgeText('shop', (text) => text.replace('id integer', 'id wrong'));
      else filename = await copy.forge(name, (raw) => replaceBytes(raw, 'id integer', 'id intager'));
      const how = ['--clean', '--force-source'];
      const { code, message } = await refused(
        target,
        [filename, '--to', target.urlOf(database), ...how],
        copy,
      );
      expect({ code, message }).toEqual({ code: 'RESTORE_FAILED', message });
      expect(message).toMatch(/type "\w+" does not exist/);
      expect(message).toContain(`the database "${database}" is as it was; the database "${database}_cofre_`);
      expect(await notesIn(target, database)).toBe('1');
    },
  );

  test('holds a part of the archive when it fails without a transaction, and that is said', async () => {
    using copy = bed.copy();
    const filename = await copy.forgeText('shop', (text) => text.replace('\n5\tnote 5\n', '\nV\tnote 5\n'));
    await target.createDatabase('half');
    const args = [filename, '--to', target.urlOf('half')];
    const whole = await refused(target, args, copy);
    expect(whole.message).toMatch(
      /COPY notes, line 5, column id\); nothing was changed in the database "half"$/,
    );
    // The row itself may be a secret.
    expect(whole.message).not.toContain('note 5');
    const part = await refused(target, [...args, '--no-transaction'], copy);
    expect(part.message).toMatch(/; the database "half" holds a part of the archive: table public\.notes,/);
  });

  test('that others use is not replaced, and they are named', async () => {
    await target.createDatabase('busy');
    await target.psql('busy', 'CREATE TABLE t (id int)');
    const session = target.psql('busy', "SET application_name = 'the app'; SELECT pg_sleep(30)");
    session.catch(() => undefined);
    const inUse = "SELECT pid FROM pg_stat_activity WHERE application_name = 'the app'";
    while ((await target.psql('postgres', inUse)) === '') await new Promise((wake) => setTimeout(wake, 20));
    const { code, message } = await refused(
      target,
      [bed.nameOf('shop'), '--to', target.urlOf('busy'), '--clean'],
      bed,
    );
    expect(code).toBe('TARGET_REFUSED');
    expect(message).toMatch(
      /"busy" is in use and cannot be replaced: pid \d+ \(the app, user postgres\); nothing was changed$/,
    );
    await target.psql('postgres', `SELECT pg_terminate_backend(pid) FROM (${inUse}) s`);
    await session.catch(() => undefined);
  });
});

describe("the source's own database", () => {
  test('is refused whatever leads to it', async () => {
    const filename = bed.nameOf('shop');
    const places = [
      source.urlOf('shop'),
      source.tcpUrlOf('shop'),
      source.tcpUrlOf('shop', 'admin'),
      `postgres://admin@/shop?host=${source.socketDir}&port=${source.port}`,
    ];
    for (const place of places) {
      for (const how of [[], ['--clean'], ['--clean', '--dry-run'], ['--create', '--clean']]) {
        const { code, message, hint } = await refused(source, [filename, '--to', place, ...how], bed);
        expect({ code, message }).toEqual({
          code: 'TARGET_REFUSED',
          message: expect.stringMatching(`^shop at .* is the database that ${filename} was taken from$`),
        });
        expect(hint).toContain('--force-source');
      }
    }
  });

  test('may be it when a manifest that was made anew does not say', async () => {
    using copy = bed.copy();
    const filename = await copy.forgeText('shop', (text) => text);
    const { code, message } = await refused(
      source,
      [filename, '--to', source.urlOf('shop'), '--clean'],
      copy,
    );
    expect({ code, message }).toEqual({
      code: 'TARGET_REFUSED',
      message: expect.stringMatching(/^shop at .* may be the database that .* the manifest does not say/),
    });
    // One that holds nothing is no loss.
    expect((await copy.restore([filename, '--to', target.urlOf('anew'), '--create'])).status).toBe(0);
  });

  test('is replaced with --force-source and --clean, and with one of them it is not', async () => {
    await source.createDatabase('mine');
    await source.psql('mine', 'CREATE TABLE notes AS SELECT 1 AS id');
    using own = await new RestoreBed().backUp([
      { type: 'postgres', name: 'mine', url: source.urlOf('mine') },
    ]);
    await source.psql('mine', 'DELETE FROM notes');
    const args = [own.nameOf('mine'), '--to', source.tcpUrlOf('mine')];
    await refused(source, [...args, '--clean'], own);
    expect((await refused(source, [...args, '--force-source'], own)).message).toContain('is not empty');
    expect((await own.restore([...args, '--force-source', '--clean'])).answer.error).toBeUndefined();
    expect(await notesIn(source, 'mine')).toBe('1');
  });
});

test('a dry run says all that would be done, and does nothing', async () => {
  const journal = bed.journal().length;
  const args = [bed.nameOf('shop'), '--to', target.urlOf('dry'), '--create', '--dry-run'];
  const before = await target.psql('postgres', DATABASES);
  const { status, answer } = await bed.restore(args);
  expect(status).toBe(0);
  expect(answer).toEqual({
    success: true,
    filename: args[0],
    target: expect.stringMatching(/^dry at /),
    dry_run: true,
    steps: [
      expect.stringMatching(/^verified \S+ \(.+ KB\): 3 tables with 202 rows, as dumped$/),
      expect.stringMatching(/^would create the database dry at /),
      expect.stringMatching(/^would restore \S+ into dry at .* through psql, in one transaction$/),
      'would count the rows of each table and compare them with the manifest',
    ],
    compared: false,
    differences: [],
    duration_ms: expect.any(Number),
  });
  const told = await bed.tell(args);
  expect(told).toMatch(/^nothing was touched:\n1\. verified .*\n2\. would create/);
  expect(await target.psql('postgres', DATABASES)).toBe(before);
  expect(bed.journal()).toHaveLength(journal);
  expect(bed.left()).toEqual([]);
});

describe('the archive', () => {
  test('is the newest of a source, and flags that do not fit it are wrong usage', async () => {
    const to = ['--to', target.urlOf('x'), '--create'];
    const newest = await bed.restore(['--latest', 'shop', ...to, '--dry-run', '--at', '2099-01-01']);
    expect(newest.answer.filename).toBe(bed.nameOf('shop'));
    const before = await refused(target, ['--latest', 'shop', ...to, '--at', '2001-01-01'], bed);
    expect(before).toMatchObject({
      code: 'ARCHIVE_UNKNOWN',
      message: 'there is no backup of the source "shop" from 2001-01-01 or before',
    });
    const error = await refused(target, ['--latest', 'shop', ...to, '--jobs', '2'], bed);
    expect(error).toMatchObject({
      code: 'USAGE',
      message: '--jobs goes only with the custom and directory formats',
    });
  });

  test('may be restored in part, with --schema and --table', async () => {
    const filename = bed.nameOf('shop_custom');
    const tables = async (database: string) =>
      await target.psql(
        database,
        "SELECT string_agg(schemaname || '.' || tablename, ',' ORDER BY schemaname, tablename) FROM pg_tables WHERE schemaname !~ '^(pg_|inf)'",
      );
    for (const [database, flags, found, restored] of [
      ['one', ['--schema', 'sales'], 'sales.notes,sales.orders', { tables: 2, rows: 2 }],
      ['two', ['--table', 'notes', '--schema', 'public'], 'public.notes', { tables: 1, rows: 200 }],
      ['three', ['--table', 'orders'], 'sales.orders', { tables: 1, rows: 2 }],
      [
        'four',
        ['--table', 'orders', 'notes', '--jobs', '1'],
        'public.notes,sales.notes,sales.orders',
        { tables: 3, rows: 202 },
      ],
    ] as const) {
      const { answer } = await bed.restore([filename, '--to', target.urlOf(database), '--create', ...flags]);
      expect(answer.error).toBeUndefined();
      expect([await tables(database), answer.restored]).toEqual([found, restored]);
    }
    const none = await refused(
      target,
      [filename, '--to', target.urlOf('five'), '--create', '--table', 'ordres'],
      bed,
    );
    expect(none).toMatchObject({
      code: 'TARGET_REFUSED',
      message: 'the archive holds no table "ordres"; nothing was changed',
    });
  });

  test('with a flipped bit, or without its file, leaves the target alone', async () => {
    using copy = bed.copy();
    const manifest = copy.of('shop');
    const args = [manifest.filename, '--to', target.urlOf('x'), '--create'];
    corruptByte(copy.path(manifest));
    for (const dry of [[], ['--dry-run']]) {
      const error = await refused(target, [...args, ...dry], copy);
      expect(error.code).toBe('ARCHIVE_CORRUPT');
      expect(error.hint).toMatch(/^Nothing was touched\. .*`cofre list`.*`cofre verify`/);
    }
    rmSync(copy.path(manifest));
    const { message } = await refused(target, args, copy);
    expect(message).toMatch(/the archive file .* is missing/);
    // The roles are not made for a database that cannot be restored, nor the other way round.
    corruptByte(copy.path(copy.of('full_globals')));
    const roles = [copy.nameOf('full'), '--to', bare.urlOf('full'), '--create', '--globals'];
    expect((await refused(bare, roles, copy)).message).toContain(copy.nameOf('full_globals'));
    expect(copy.ended('@restore').slice(-3)).toMatchObject([
      { outcome: 'failed' },
      { outcome: 'failed' },
      { outcome: 'failed' },
    ]);
  });
});

/** Replaces text by another of the same length. */
function replaceBytes(bytes: Buffer, text: string, by: string): Buffer {
  const at = bytes.indexOf(text);
  if (at === -1 || text.length !== by.length) throw new Error(`there is no ${text} to be replaced`);
  const changed = Buffer.from(bytes);
  changed.write(by, at);
  return changed;
}
