import { chownSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { FULL_DATABASE, FULL_ROLES } from '../support/full-database.ts';
import { dumpedLines, refused, RestoreBed } from '../support/restore-bed.ts';

/** Where the archives come from. */
let source: Cluster;
/** Has the roles of the source. */
let target: Cluster;
/** Has none. */
let bare: Cluster;
let bed: RestoreBed;

const ROLES = "SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_'";

beforeAll(async () => {
  [source, target, bare] = await Promise.all([startCluster(), startCluster(), startCluster()]);
  await Promise.all(
    [source, target].map((cluster) => cluster.psql('postgres', `${FULL_ROLES} CREATE ROLE clerk;`)),
  );
  await source.createDatabase('full');
  await source.psql('full', FULL_DATABASE);
  await source.createDatabase('shop');
  await source.psql(
    'shop',
    `CREATE TABLE notes (id int PRIMARY KEY, note text);
     INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(1, 200) n;
     ALTER TABLE notes OWNER TO clerk; GRANT SELECT ON notes TO PUBLIC;`,
  );
  const of = (name: string, database: string, rest = {}) => ({
    type: 'postgres',
    name,
    url: source.urlOf(database),
    ...rest,
  });
  bed = await new RestoreBed().backUp([
    of('full', 'full', { globals: true }),
    of('shop', 'shop'),
    of('shop_custom', 'shop', { format: 'custom' }),
  ]);
});

afterAll(async () => {
  bed[Symbol.dispose]();
  await Promise.all([source, target, bare].map(async (cluster) => await cluster[Symbol.asyncDispose]()));
});

/** Where both servers may make a tablespace, one after the other. */
function tablespaceDirectory({ dataDir }: Cluster): Disposable & { path: string } {
  const path = mkdtempSync('/tmp/cofre-e2e-space-');
  const { uid, gid } = statSync(dataDir);
  chownSync(path, uid, gid);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

describe('a database with one of everything', () => {
  test('needs roles, which are all named before anything is made', async () => {
    const filename = bed.nameOf('full');
    const error = await refused(bare, [filename, '--to', bare.urlOf('full'), '--create'], bed);
    expect(error.code).toBe('TARGET_REFUSED');
    for (const role of ['Ventas; DROP', 'boss', 'reader', 'shop_owner', 'ünïcode "q"']) {
      expect(error.message).toContain(role);
    }
    expect(error.message).toMatch(/; nothing was changed$/);
    expect(error.hint).toMatch(/`--globals`.*`--no-owner`/);
    // A dry run is for finding that out.
    expect(await refused(bare, [filename, '--to', bare.urlOf('full'), '--create', '--dry-run'], bed)).toEqual(
      error,
    );
  });

  test('brings the roles of its own run with it; those that exist stay as they are', async () => {
    await using other = await startCluster();
    await other.psql('postgres', "CREATE ROLE reader LOGIN CONNECTION LIMIT 3 VALID UNTIL 'infinity'");
    const args = [bed.nameOf('full'), '--to', other.urlOf('full'), '--create', '--globals'];
    const planned = await bed.restore([...args, '--dry-run']);
    expect(planned.answer.steps?.join('\n')).toContain(bed.nameOf('full_globals'));
    expect(await other.psql('postgres', ROLES)).toBe('postgres,reader');
    const { status, answer } = await bed.restore(args);
    expect(answer.error).toBeUndefined();
    expect(status).toBe(0);
    expect(answer.steps).toContainEqual(
      expect.stringMatching(/: made \d+ \(.*boss.*\), left 2 as they were \(postgres; reader\)$/),
    );
    expect(await other.psql('postgres', ROLES)).toBe(await source.psql('postgres', ROLES));
    expect(
      await other.psql('postgres', "SELECT rolcanlogin, rolconnlimit FROM pg_roles WHERE rolname = 'reader'"),
    ).toBe('t|3');
    expect(await dumpedLines(other, 'full')).toEqual(await dumpedLines(source, 'full'));
  });
});

describe('roles and tablespaces', () => {
  test('that are lacking are named, and made by an archive of them alone', async () => {
    await using first = await startCluster();
    using directory = tablespaceDirectory(first);
    await first.psql(
      'postgres',
      `CREATE ROLE clerk; CREATE TABLESPACE fast OWNER clerk LOCATION '${directory.path}'`,
    );
    await first.createDatabase('placed');
    await first.psql('placed', 'CREATE TABLE t (id int) TABLESPACE fast; ALTER TABLE t OWNER TO clerk;');
    const placed = { type: 'postgres', name: 'placed', url: first.urlOf('placed'), globals: true };
    using own = await new RestoreBed().backUp([placed]);
    // Two servers cannot share the directory.
    await first.psql('postgres', 'DROP DATABASE placed');
    await first.psql('postgres', 'DROP TABLESPACE fast');

    await using other = await startCluster();
    const args = [own.nameOf('placed'), '--to', other.urlOf('placed'), '--create'];
    const { message } = await refused(other, args, own);
    expect(message).toContain('the roles clerk; the tablespaces fast; nothing was changed');
    // A database that does not exist: the roles are the server's.
    const told = await own.tell([own.nameOf('placed_globals'), '--to', other.urlOf('nowhere')]);
    expect(told).toMatch(/made 2 \(clerk; fast\), left 1 as it was \(postgres\)/);
    expect(told).not.toContain('as recorded');
    expect((await own.restore(args)).answer).toMatchObject({ success: true });
    expect(await other.psql('placed', "SELECT tablespace FROM pg_tables WHERE tablename = 't'")).toBe('fast');
    await other.psql('postgres', 'DROP DATABASE placed');
    await other.psql('postgres', 'DROP TABLESPACE fast');
  });

  test('are not made for an archive that lacks an extension all the same', async () => {
    using copy = bed.copy();
    const filename = await copy.forgeText('shop', (text) =>
      text.replace(
        'CREATE TABLE',
        'CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;\nCREATE TABLE',
      ),
    );
    const globals = bed.nameOf('full_globals');
    const args = [filename, '--to', bare.urlOf('placed'), '--create', '--globals', globals];
    const { code, message, hint } = await refused(bare, args, copy);
    expect({ code, message }).toEqual({
      code: 'TARGET_REFUSED',
      message: `the server lacks what ${filename} needs: the extensions postgis; nothing was changed`,
    });
    expect(hint).toBe("Install the extensions' packages on the server.");
    expect(await bare.psql('postgres', ROLES)).toBe('postgres');
  });

  test('that were made for a restore which fails stay, and that is said', async () => {
    await using other = await startCluster();
    using copy = bed.copy();
    const filename = await copy.forgeText('shop', (text) => text.replace('\n5\tnote 5\n', '\nV\tnote 5\n'));
    const globals = copy.nameOf('full_globals');
    const args = [filename, '--to', other.urlOf('shop'), '--create', '--globals', globals];
    const { message } = await refused(other, args, copy);
    expect(message).toContain('the database "shop" that was made for it was dropped again');
    expect(message).toMatch(/; the roles and tablespaces that were made before stay: .*clerk/);
  });

  test('are left out with --no-owner', async () => {
    for (const name of ['shop', 'shop_custom']) {
      const args = [bed.nameOf(name), '--to', bare.urlOf(name), '--create', '--no-owner'];
      expect((await bed.restore(args)).answer).toMatchObject({ success: true });
      expect(
        await bare.psql(
          name,
          "SELECT relowner::regrole, relacl FROM pg_class WHERE relname = 'notes' AND relnamespace = 2200",
        ),
      ).toBe('postgres|');
    }
    expect(await target.psql('postgres', "SELECT 'clerk'::regrole")).toBe('clerk');
    const args = [bed.nameOf('shop'), '--to', target.urlOf('owned'), '--create'];
    expect((await bed.restore(args)).status).toBe(0);
    expect(
      await target.psql(
        'owned',
        "SELECT relowner::regrole, relacl FROM pg_class WHERE oid = 'public.notes'::regclass",
      ),
    ).toBe('clerk|{clerk=arwdDxt/clerk,=r/clerk}');
  });

  test.each([
    ['the archive of a database', 'shop'],
    ['an archive that is not there', 'nothing'],
  ])('are not taken from %s', async (_what, name) => {
    const globals = name === 'shop' ? bed.nameOf('shop') : name;
    const { code, message } = await refused(
      bare,
      [bed.nameOf('shop'), '--to', bare.urlOf('x'), '--create', '--globals', globals],
      bed,
    );
    expect({ code, message }).toEqual(
      name === 'shop'
        ? {
            code: 'USAGE',
            message: `--globals names ${globals}, which is no archive of roles and tablespaces`,
          }
        : { code: 'ARCHIVE_UNKNOWN', message: 'there is no backup named "nothing"' },
    );
  });

  test('of a source without an archive of them are missed', async () => {
    const args = [bed.nameOf('shop'), '--to', bare.urlOf('x'), '--create', '--globals'];
    expect(await refused(bare, args, bed)).toMatchObject({
      code: 'ARCHIVE_UNKNOWN',
      hint: expect.stringContaining('`--globals FILENAME`'),
    });
  });
});
