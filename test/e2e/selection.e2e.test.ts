import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Manifest, Verdict } from '../../src/domain/manifest.ts';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { dumpedLines, refused, RestoreBed } from '../support/restore-bed.ts';

let cluster: Cluster;
let number = 0;

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.psql('postgres', 'CREATE ROLE alice; CREATE ROLE modest LOGIN CREATEDB');
  await cluster.createDatabase('shop');
  await cluster.psql(
    'shop',
    `CREATE SCHEMA "S a" AUTHORIZATION alice; CREATE SCHEMA "S";
     CREATE TABLE "S a".orders (id serial PRIMARY KEY, note text); CREATE INDEX ON "S a".orders (note);
     INSERT INTO "S a".orders (note) VALUES ('one'), ('two');
     CREATE VIEW "S a".late AS SELECT * FROM "S a".orders WHERE id > 1;
     CREATE TABLE "S".items (id int); INSERT INTO "S".items VALUES (1);
     CREATE TABLE lost (id int); INSERT INTO lost VALUES (1), (2), (3);
     CREATE TABLE "S a".parts (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, of int REFERENCES "S a".orders,
       code serial CHECK (code > 0), name text);
     CREATE UNIQUE INDEX "by name" ON "S a".parts (name); COMMENT ON INDEX "S a"."by name" IS 'unique';
     ALTER TABLE "S a".parts ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON "S a".parts USING (true);
     CREATE STATISTICS "S a".stats ON code, name FROM "S a".parts; GRANT SELECT ON "S a".parts TO alice;
     INSERT INTO "S a".parts (of, name) VALUES (1, 'a'), (2, 'b'); CREATE VIEW names AS SELECT name FROM "S a".parts;
     CREATE TABLE "S a".days (at date, note text, PRIMARY KEY (at, note)) PARTITION BY RANGE (at);
     CREATE TABLE "S a".day_1 PARTITION OF "S a".days FOR VALUES FROM ('2026-01-01') TO ('2026-01-02');
     CREATE TABLE "S a".day_rest PARTITION OF "S a".days DEFAULT; CREATE INDEX ON "S a".days (note);
     INSERT INTO "S a".days VALUES ('2026-01-01', 'a'), ('2026-01-02', 'b'), ('2026-01-03', 'c');
     CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
     GRANT CREATE ON SCHEMA public TO alice; REVOKE USAGE ON SCHEMA public FROM PUBLIC;
     COMMENT ON SCHEMA public IS 'ours';`,
  );
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function bedOf(rest: Record<string, unknown>): Promise<RestoreBed> {
  const bed = new RestoreBed();
  onTestFinished(() => bed[Symbol.dispose]());
  return await bed.backUp([{ type: 'postgres', name: 'app', url: cluster.urlOf('shop'), ...rest }]);
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

function nextName(): string {
  number += 1;
  return `restored_${number}`;
}

const PUBLIC = "SELECT nspacl, obj_description(oid) FROM pg_namespace WHERE nspname = 'public'";

describe.each(['plain', 'custom', 'directory'])('a %s dump', (format) => {
  test('of chosen schemas, `public` among them, is proven and restores, into what is empty too', async () => {
    const bed = await bedOf({ format, include: { schemas: ['public', '"S a"'] } });
    expect(await drilled(bed, bed.of('app'))).toMatchObject({ verdict: 'proven' });

    const made = nextName();
    const { answer } = await bed.restore([bed.nameOf('app'), '--to', cluster.urlOf(made), '--create']);
    expect(answer).toMatchObject({ success: true, differences: [], restored: { tables: 5, rows: 10 } });
    expect(answer.steps?.join('\n')).not.toContain('made room');
    expect(await cluster.psql(made, PUBLIC)).toBe(await cluster.psql('shop', PUBLIC));

    const empty = nextName();
    await cluster.createDatabase(empty);
    await cluster.psql(empty, 'CREATE SCHEMA "S a"');
    const into = await bed.restore([bed.nameOf('app'), '--to', cluster.urlOf(empty)]);
    expect(into.answer).toMatchObject({ success: true, differences: [] });
    expect(into.answer.steps).toContain(
      'the schema "S a", which was empty, made room for that of the archive',
    );
    expect(await cluster.psql(empty, PUBLIC)).toBe(await cluster.psql('shop', PUBLIC));
  });

  test('of chosen tables is proven and restores: the schemas that it needs are made', async () => {
    const bed = await bedOf({ format, include: { tables: ['"S a".*', '"S".items', 'public.lost'] } });
    const verdict = await drilled(bed, bed.of('app'));
    expect(verdict).toMatchObject({
      verdict: 'proven',
      detail: expect.stringContaining('made the schema "S a", which the archive needs and does not make'),
    });
    const made = nextName();
    const to = ['--to', cluster.urlOf(made)];
    const { answer } = await bed.restore([bed.nameOf('app'), ...to, '--create']);
    expect(answer).toMatchObject({ success: true, differences: [], restored: { tables: 6, rows: 11 } });
    expect(answer.steps).toContain('made the schema "S", which the archive needs and does not make');
    const replaced = await bed.restore([bed.nameOf('app'), ...to, '--clean', '--force-source']);
    expect(replaced.answer).toMatchObject({ success: true, differences: [] });
    const empty = nextName();
    await cluster.createDatabase(empty);
    await cluster.psql(empty, 'CREATE SCHEMA "S a"');
    const into = await bed.restore([bed.nameOf('app'), '--to', cluster.urlOf(empty)]);
    expect(into.answer).toMatchObject({ success: true, differences: [] });
  });
});

test('a restore that fails leaves the schema that had to make room as it was', async () => {
  const bed = await bedOf({ format: 'custom', include: { schemas: ['public'] } });
  const name = nextName();
  await cluster.createDatabase(name);
  await cluster.psql(name, "COMMENT ON SCHEMA public IS 'as it was'; GRANT ALL ON SCHEMA public TO modest");
  const before = await cluster.psql(name, PUBLIC);
  // It may not: the owner of the schema is that of the database.
  const error = await bed.refusal([bed.nameOf('app'), '--to', cluster.urlOf(name, 'modest'), '--no-owner']);
  expect(error).toMatchObject({
    code: 'RESTORE_FAILED',
    message: expect.stringMatching(/must be owner of schema public; nothing was changed/),
  });
  expect(await cluster.psql(name, PUBLIC)).toBe(before);
});

describe.each(['custom', 'directory'])('a table of a %s dump', (format) => {
  test('is put back into a database in use', async () => {
    const bed = await bedOf({ format });
    const name = nextName();
    const to = ['--to', cluster.urlOf(name)];
    await bed.restore([bed.nameOf('app'), ...to, '--create']);
    await cluster.psql(
      name,
      'DROP TABLE lost; DROP SCHEMA "S" CASCADE; INSERT INTO "S a".orders (note) VALUES (\'since\')',
    );
    const planned = await bed.restore([bed.nameOf('app'), ...to, '--table', 'lost', '--dry-run']);
    expect(planned.answer.steps?.join('\n')).toContain(
      'beside what it holds, through psql, in one transaction',
    );
    const lost = await bed.restore([bed.nameOf('app'), ...to, '--table', 'lost']);
    expect(lost.answer).toMatchObject({ success: true, restored: { tables: 1, rows: 3 }, differences: [] });
    const items = await bed.restore([bed.nameOf('app'), ...to, '--schema', 'S', '--table', 'items']);
    expect(items.answer).toMatchObject({ success: true, restored: { tables: 1, rows: 1 } });
    expect(await cluster.psql(name, 'SELECT count(*) FROM "S a".orders')).toBe('3');

    const taken = await refused(
      cluster,
      [bed.nameOf('app'), ...to, '--table', 'lost', '--table', 'orders'],
      bed,
    );
    expect(taken).toMatchObject({ code: 'TARGET_REFUSED', hint: expect.stringContaining('Rename or drop') });
    expect(taken.message).toMatch(/has already: .*lost.*orders|has already: .*orders.*lost/);
    // What holds no rows is found by the server; then all of it is taken back.
    await cluster.psql(name, 'DROP TABLE lost');
    const view = await bed.refusal([bed.nameOf('app'), ...to, '--table', 'lost', '--table', 'late']);
    expect(view.message).toMatch(/relation "late" already exists; nothing was changed in the database/);
    expect(await cluster.psql(name, "SELECT to_regclass('lost') IS NULL")).toBe('t');
  });

  test('comes back with its keys, indexes and sequences, and says what does not', async () => {
    const bed = await bedOf({ format });
    const name = nextName();
    const to = ['--to', cluster.urlOf(name)];
    await bed.restore([bed.nameOf('app'), ...to, '--create']);
    const before = await dumpedLines(cluster, name);
    await cluster.psql(name, 'DROP TABLE "S a".parts CASCADE');
    const { answer } = await bed.restore([bed.nameOf('app'), ...to, '--table', 'parts']);
    expect(answer).toMatchObject({ success: true, restored: { tables: 1, rows: 2 } });
    const [left = ''] = answer.steps?.filter((step) => step.startsWith('not restored')) ?? [];
    expect(left).toMatch(/FK CONSTRAINT S a parts parts_of_fkey/);
    expect(left).toMatch(/VIEW public names/);
    await cluster.psql(
      name,
      `ALTER TABLE "S a".parts ADD CONSTRAINT parts_of_fkey FOREIGN KEY (of) REFERENCES "S a".orders (id);
       CREATE VIEW names AS SELECT name FROM "S a".parts;`,
    );
    expect(await dumpedLines(cluster, name)).toEqual(before);
  });

  test('comes back with those of its partitions that are named as well', async () => {
    const bed = await bedOf({ format });
    const name = nextName();
    const to = ['--to', cluster.urlOf(name)];
    await bed.restore([bed.nameOf('app'), ...to, '--create']);
    const before = await dumpedLines(cluster, name);
    await cluster.psql(name, 'DROP TABLE "S a".days');
    const parts = ['days', 'day_1', 'day_rest'].flatMap((table) => ['--table', table]);
    const { answer } = await bed.restore([bed.nameOf('app'), ...to, ...parts]);
    expect(answer).toMatchObject({ success: true, restored: { tables: 2, rows: 3 } });
    expect(answer.steps?.join('\n')).not.toContain('not restored');
    expect(await dumpedLines(cluster, name)).toEqual(before);
    // Alone it is empty, which is said.
    await cluster.psql(name, 'DROP TABLE "S a".days');
    const alone = await bed.restore([bed.nameOf('app'), ...to, '--table', 'days']);
    expect(alone.answer.steps?.join('\n')).toMatch(/not restored, .*TABLE S a day_1 .*TABLE S a day_rest/);
  });

  test('never replaces a whole database', async () => {
    const bed = await bedOf({ format });
    const name = nextName();
    const to = ['--to', cluster.urlOf(name)];
    await bed.restore([bed.nameOf('app'), ...to, '--create']);
    for (const part of [
      ['--table', 'lost'],
      ['--schema', 'S'],
    ]) {
      const error = await refused(cluster, [bed.nameOf('app'), ...to, '--clean', ...part], bed);
      expect(error).toMatchObject({ code: 'USAGE', hint: expect.stringContaining('Leave --clean out') });
    }
    expect(await cluster.psql(name, 'SELECT count(*) FROM "S a".orders')).toBe('2');
  });
});
