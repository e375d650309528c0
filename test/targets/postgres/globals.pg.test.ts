import { mkdir, chown, stat } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../../tools/cluster.ts';
import { streamOf } from '../../support/dumps.ts';
import { failureOf, SIGNAL, targetOf } from './restoring.ts';

const run = promisify(execFile);
const ROLES = `
  SELECT rolname, rolsuper, rolcanlogin, rolconnlimit, rolpassword, rolvaliduntil, shobj_description(r.oid, 'pg_authid'),
         (SELECT string_agg(setconfig::text, ' ') FROM pg_db_role_setting WHERE setrole = r.oid AND setdatabase = 0),
         (SELECT string_agg(roleid::regrole::text || admin_option, ' ' ORDER BY 1) FROM pg_auth_members WHERE member = r.oid)
    FROM pg_authid r WHERE rolname !~ '^pg_' ORDER BY rolname COLLATE "C"`;
let source: Cluster;
let target: Cluster;
let globals = '';

beforeAll(async () => {
  [source, target] = await Promise.all([startCluster(), startCluster()]);
  await source.psql(
    'postgres',
    `CREATE ROLE "Ali ""ce"" O'Hé" LOGIN PASSWORD 'secret' CONNECTION LIMIT 3 VALID UNTIL '2030-01-01';
     CREATE ROLE grp; CREATE ROLE "to"; CREATE ROLE boss SUPERUSER;
     GRANT grp TO "Ali ""ce"" O'Hé" WITH ADMIN OPTION; GRANT boss TO "to";
     SET ROLE "Ali ""ce"" O'Hé"; GRANT grp TO "to"; RESET ROLE;
     ALTER ROLE grp SET search_path = a, "B c"; ALTER ROLE "to" SET application_name = E'x\\\\y;z''--';
     COMMENT ON ROLE grp IS 'the; group''s -- comment /* ';
     GRANT SET ON PARAMETER work_mem TO grp;
     CREATE ROLE there LOGIN; ALTER ROLE there SET work_mem = '1MB'; GRANT there TO grp; COMMENT ON ROLE there IS 'new';`,
  );
  globals = await globalsOf(source);
});
afterAll(async () => {
  await Promise.all([source, target].map((cluster) => cluster[Symbol.asyncDispose]()));
});

async function globalsOf(cluster: Cluster): Promise<string> {
  const { stdout } = await run(join(cluster.binDir, 'pg_dumpall'), ['--globals-only', '-d', cluster.url]);
  return stdout;
}

/** An empty directory of the server's user. */
async function serverDirectory(cluster: Cluster, name: string): Promise<string> {
  const path = join(cluster.dataDir, '..', name);
  const { uid, gid } = await stat(cluster.dataDir);
  await mkdir(path, { mode: 0o700 });
  await chown(path, uid, gid);
  return path;
}

describe('applying roles', () => {
  it('makes those that are missing like those of the source, and leaves the others as they are', async () => {
    await target.psql('postgres', "CREATE ROLE there; COMMENT ON ROLE there IS 'old'");
    const { made, existing } = await targetOf(target.urlOf('no_such_database')).applyGlobals(
      streamOf(globals),
      SIGNAL,
    );
    expect(made.toSorted()).toEqual(['Ali "ce" O\'Hé', 'boss', 'grp', 'to']);
    expect(existing.toSorted()).toEqual(['postgres', 'there']);
    const lines = async (cluster: Cluster) =>
      (await cluster.psql('postgres', ROLES)).split('\n').filter((line) => !line.startsWith('there|'));
    expect(await lines(target)).toEqual(await lines(source));
    expect(await target.psql('postgres', ROLES)).toContain('there|f|f|-1|||old||');
    const parameters = 'SELECT paracl FROM pg_parameter_acl';
    expect(await target.psql('postgres', parameters)).toBe(await source.psql('postgres', parameters));
  });

  it('a second time changes nothing', async () => {
    const before = await target.psql('postgres', ROLES);
    const { made, existing } = await targetOf(target.url).applyGlobals(streamOf(globals), SIGNAL);
    expect({ made, existing: existing.length }).toEqual({ made: [], existing: 6 });
    expect(await target.psql('postgres', ROLES)).toBe(before);
  });

  it('is all or nothing', async () => {
    const text = `CREATE ROLE first;\nCREATE ROLE second;\nALTER ROLE second WITH NO_SUCH_RIGHT PASSWORD 'hidden';\n`;
    const error = await failureOf(targetOf(target.url).applyGlobals(streamOf(text), SIGNAL));
    expect(error.code).toBe('RESTORE_FAILED');
    expect(error.message).toMatch(/^setting up the role second failed: .*; nothing was changed$/);
    expect(JSON.stringify(error)).not.toContain('hidden');
    expect(
      await target.psql('postgres', "SELECT count(*) FROM pg_roles WHERE rolname IN ('first', 'second')"),
    ).toBe('0');
  });

  it('grants a membership also when who granted it is not there', async () => {
    const text = `CREATE ROLE member;\nGRANT grp TO member GRANTED BY nobody_here;\n`;
    await targetOf(target.url).applyGlobals(streamOf(text), SIGNAL);
    expect(await target.psql('postgres', "SELECT pg_has_role('member', 'grp', 'MEMBER')")).toBe('t');
  });

  it('needs a superuser', async () => {
    await target.psql('postgres', 'CREATE ROLE modest LOGIN');
    const text = 'CREATE ROLE more;\n';
    const error = await failureOf(
      targetOf(target.urlOf('postgres', 'modest')).applyGlobals(streamOf(text), SIGNAL),
    );
    expect(error).toMatchObject({ code: 'RESTORE_FAILED', hint: 'Apply them as a superuser.' });
  });

  it('runs nothing of a script that pg_dumpall does not write', async () => {
    for (const text of [
      'CREATE ROLE x;\nDROP DATABASE postgres;\n',
      'CREATE ROLE x;\n\\! true\n',
      'CREATE ROLE x; SELECT 1;',
    ]) {
      const error = await failureOf(targetOf(target.url).applyGlobals(streamOf(text), SIGNAL));
      expect(error.code).toBe('ARCHIVE_UNSAFE');
    }
    expect(await target.psql('postgres', "SELECT count(*) FROM pg_roles WHERE rolname = 'x'")).toBe('0');
  });
});

describe('applying tablespaces', () => {
  it('names a directory that the server does not have, before anything is changed', async () => {
    const text =
      "CREATE ROLE with_space;\nCREATE TABLESPACE fast OWNER with_space LOCATION '/no/such dir';\n";
    const error = await failureOf(targetOf(target.url).applyGlobals(streamOf(text), SIGNAL));
    expect(error).toMatchObject({
      code: 'RESTORE_FAILED',
      path: '/no/such dir',
      hint: expect.stringContaining('/no/such dir'),
    });
    expect(error.message).toMatch(/the server has no directory \/no\/such dir; nothing was changed$/);
    expect(await target.psql('postgres', "SELECT count(*) FROM pg_roles WHERE rolname = 'with_space'")).toBe(
      '0',
    );
  });

  it('makes those that are missing, with all that is said of them', async () => {
    const path = await serverDirectory(source, 'a space é');
    await source.psql(
      'postgres',
      `CREATE TABLESPACE "Fa st" OWNER grp LOCATION '${path}' WITH (seq_page_cost = 0.5);
       COMMENT ON TABLESPACE "Fa st" IS 'ssd'; GRANT CREATE ON TABLESPACE "Fa st" TO boss;`,
    );
    const own = await serverDirectory(target, 'a space é');
    const text = (await globalsOf(source)).replaceAll(path, own);
    const first = await targetOf(target.url).applyGlobals(streamOf(text), SIGNAL);
    expect(first.made).toEqual(['Fa st']);
    const said =
      "SELECT spcname, spcowner::regrole, spcacl, spcoptions, shobj_description(oid, 'pg_tablespace') FROM pg_tablespace WHERE oid >= 16384";
    expect(await target.psql('postgres', said)).toBe(await source.psql('postgres', said));
    const second = await targetOf(target.url).applyGlobals(streamOf(text), SIGNAL);
    expect(second).toEqual({ made: [], existing: expect.arrayContaining(['Fa st']) });
  });

  it('that fail later say what was made', async () => {
    const inUse = await target.psql(
      'postgres',
      "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'Fa st'",
    );
    const text = `CREATE ROLE made_before;\nCREATE TABLESPACE other LOCATION '${inUse}';\n`;
    const error = await failureOf(targetOf(target.url).applyGlobals(streamOf(text), SIGNAL));
    expect(error.message).toMatch(
      /^making the tablespace other in .* failed: .*; these roles were made: made_before$/,
    );
  });
});
