import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { RestoreBed } from '../support/restore-bed.ts';
import { type Json, NEVER } from '../support/workspace.ts';

const IS_ROOT = process.geteuid?.() === 0;
const NOBODY = '65534';
const SECRET = 'hunter2';

let cluster: Cluster;
let loot = '';
let bed: RestoreBed;

/** An owner of one table puts a function into a source: it does nothing there, and runs a program in a drill. */
beforeAll(async () => {
  cluster = await startCluster();
  loot = mkdtempSync('/tmp/cofre-loot-');
  chmodSync(loot, 0o777);
  bed = new RestoreBed();
  const wanted = `${bed.location}/database/* ${bed.config}`;
  const program = `exec >> ${loot}/out 2>&1; id -u; cat ${wanted}; rm -f ${wanted}; env; cat /proc/self/status`;
  await cluster.createDatabase('spied');
  await cluster.psql(
    'spied',
    `CREATE ROLE modest LOGIN CREATEDB; CREATE ROLE mallory; GRANT CREATE ON SCHEMA public TO mallory;
     SET SESSION AUTHORIZATION mallory;
     CREATE FUNCTION public.looks(int) RETURNS boolean LANGUAGE plpgsql AS $f$
     BEGIN
       EXECUTE $q$COPY (SELECT 1) TO PROGRAM $p$${program}$p$$q$;
       RETURN true;
     EXCEPTION WHEN OTHERS THEN RETURN true;
     END $f$;
     CREATE TABLE public.t (id int CHECK (public.looks(id))); INSERT INTO public.t VALUES (1);`,
  );
  await bed.backUp([source()]);
  chmodSync(bed.config, 0o600);
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  bed[Symbol.dispose]();
  rmSync(loot, { recursive: true, force: true });
});

function source(): Json {
  return { type: 'postgres', name: 'app', url: cluster.urlOf('spied') };
}

/** What the program has printed, once the archive is proven and still there. */
async function lootOfDrill(scratch: Json): Promise<string | undefined> {
  bed.configure({ scratch, jobs: { app: { schedule: NEVER, sources: [source()], drill: 'each' } } });
  chmodSync(bed.config, 0o600);
  const out = join(loot, 'out');
  rmSync(out, { force: true });
  const finished = await bed.run(['drill', bed.nameOf('app')], { env: { COFRE_SECRET: SECRET } });
  expect(finished.status).toBe(0);
  expect(existsSync(bed.config)).toBe(true);
  expect(readFileSync(bed.path(bed.of('app'))).length).toBe(bed.of('app').size);
  return existsSync(out) ? readFileSync(out, 'utf8') : undefined;
}

test.runIf(IS_ROOT)('what a dump does in a drill of root reaches neither archives nor secrets', async () => {
  const printed = await lootOfDrill({ directory: bed.scratch });
  // It ran: that is what is to be known of a dump. As somebody who may nothing.
  expect(printed?.split('\n')[0]).toBe(NOBODY);
  expect(printed).toContain('Permission denied');
  // Nor does a setuid program lead it to somebody who may more.
  expect(printed).toMatch(/^CapEff:\t0+$/m);
  expect(printed).toMatch(/^NoNewPrivs:\t1$/m);
  expect(printed).not.toMatch(new RegExp(`${SECRET}|CREATE TABLE|"location"`));
  expect((await bed.run(['check'])).stdout).not.toContain('DRILL_UNCONFINED');
});

test('what a dump does as a role without SUPERUSER starts no program', async () => {
  const url = cluster.urlOf('postgres', 'modest');
  expect(await lootOfDrill({ directory: bed.scratch, url })).toBeUndefined();
  expect((await bed.run(['check'])).stdout).not.toContain('DRILL_UNCONFINED');
});
