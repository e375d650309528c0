import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Manifest, Verdict } from '../../src/domain/manifest.ts';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { RestoreBed } from '../support/restore-bed.ts';
import { expectNothingLeft } from '../support/drill-bed.ts';

let cluster: Cluster;
let place = '';
let directory = '';

beforeAll(async () => {
  cluster = await startCluster();
  place = mkdtempSync('/tmp/cofre-tablespace-');
  directory = join(place, 'fast');
  mkdirSync(directory);
  const { uid, gid } = statSync(cluster.dataDir);
  for (const path of [place, directory]) chownSync(path, uid, gid);
  await cluster.createDatabase('shop');
  await cluster.psql('postgres', 'CREATE ROLE alice');
  await cluster.psql('postgres', `CREATE TABLESPACE "Fa st" OWNER alice LOCATION '${directory}'`);
  await cluster.psql(
    'postgres',
    `ALTER TABLESPACE "Fa st" SET (seq_page_cost = 2); COMMENT ON TABLESPACE "Fa st" IS 'disk';
     GRANT CREATE ON TABLESPACE "Fa st" TO PUBLIC; ALTER ROLE alice SET default_tablespace = "Fa st";`,
  );
  await cluster.psql('shop', 'CREATE TABLE t (id int) TABLESPACE "Fa st"');
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(place, { recursive: true, force: true });
});

async function bedOfGlobals(): Promise<RestoreBed> {
  const bed = new RestoreBed();
  onTestFinished(() => bed[Symbol.dispose]());
  return await bed.backUp([{ type: 'postgres', name: 'app', url: cluster.urlOf('shop'), globals: true }]);
}

async function drilled(
  bed: RestoreBed,
  { filename }: Manifest,
): Promise<{ verdict: Verdict; detail: string }> {
  const finished = await bed.run(['drill', filename]);
  const [result] = finished.json<{ results: { verdict: Verdict; detail: string }[] }>().results;
  if (result === undefined) throw new Error(finished.stderr);
  return result;
}

test('a drill of tablespaces touches no directory of the machine, nor needs one', async () => {
  const bed = await bedOfGlobals();
  const before = readdirSync(directory);
  const there = await drilled(bed, bed.of('app_globals'));
  expect(there).toMatchObject({
    verdict: 'proven',
    detail: expect.stringContaining('statements about roles'),
  });
  expect(readdirSync(directory)).toEqual(before);
  expect(await drilled(bed, bed.of('app'))).toMatchObject({ verdict: 'proven' });

  const elsewhere = bed.copy();
  onTestFinished(() => elsewhere[Symbol.dispose]());
  await elsewhere.forgeText('app_globals', (sql) =>
    sql.replace(`LOCATION '${place}`, "LOCATION '/no/such/disk"),
  );
  expect(await drilled(elsewhere, bed.of('app_globals'))).toMatchObject({ verdict: 'proven' });
  expectNothingLeft(bed);
});

test('a value that this machine does not know says nothing of the archive; what no server takes does', async () => {
  const bed = await bedOfGlobals();
  const forged = async (more: string): Promise<unknown> => {
    const copy = bed.copy();
    onTestFinished(() => copy[Symbol.dispose]());
    const filename = await copy.forgeText('app_globals', (sql) =>
      sql.replace('CREATE ROLE alice;', `CREATE ROLE alice;\n${more}`),
    );
    return await drilled(copy, copy.manifestOf(filename));
  };
  expect(await forged("ALTER ROLE alice SET lc_monetary TO 'xx_XX.UTF-8';")).toMatchObject({
    verdict: 'not provable here',
    detail: expect.stringContaining('lc_monetary'),
  });
  expect(await forged('ALTER ROLE alice WITH NOSUCHTHING;')).toMatchObject({ verdict: 'failed' });
});

test('a command of psql among the roles is the work of a forger', async () => {
  const bed = await bedOfGlobals();
  const forged = await bed.forgeText('app_globals', (sql) =>
    sql.replace('CREATE ROLE alice;', '\\! id\nCREATE ROLE alice;'),
  );
  expect(await drilled(bed, bed.manifestOf(forged))).toMatchObject({ verdict: 'failed' });
});
