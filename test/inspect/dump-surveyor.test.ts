import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DumpNeeds, DumpSection, DumpSurvey } from '../../src/domain/dump-survey.ts';
import { PlainDumpSurveyor } from '../../src/inspect/dump-surveyor.ts';
import { PlainDumpInspector } from '../../src/inspect/plain-dump.ts';
import { surveyByReference } from './reference-surveyor.ts';

const END = '--\n-- PostgreSQL database dump complete\n--\n\n';

async function survey(chunks: readonly (Buffer | string)[], ofRows = () => true): Promise<DumpSurvey> {
  await using surveyor = new PlainDumpSurveyor(ofRows);
  for (const chunk of chunks) {
    const reused = Buffer.from(chunk);
    surveyor.write(reused);
    reused.fill('#');
  }
  await surveyor.end();
  return surveyor.survey();
}

/** A section as pg_dump writes one. */
function entry(type: string, name: string, sql: string, schema = 'public', owner = 'me'): string {
  const what = type.endsWith('DATA') || type === 'BLOBS' ? 'Data for Name' : 'Name';
  return `--\n-- ${what}: ${name}; Type: ${type}; Schema: ${schema}; Owner: ${owner}\n--\n\n${sql}\n\n\n`;
}

test('a name that looks like the rest of the comment above it leads to no other schema', async () => {
  const name = 'new line; Type: TABLE; Schema: x; Owner: y';
  const { schemas } = await survey([entry('TABLE', name, 'CREATE TABLE public.t ();') + END]);
  expect(schemas).toEqual({ made: [], used: [] });
});

async function sectionsOf(...entries: string[]): Promise<ReadonlyMap<string, DumpSection>> {
  return (await survey([entries.join('') + END])).sections;
}

async function keysOf(...entries: string[]): Promise<string[]> {
  return [...(await sectionsOf(...entries)).keys()];
}

async function needsOf(...statements: string[]): Promise<DumpNeeds> {
  return (await survey([`${statements.join('\n')}\n${END}`])).needs;
}

async function sectionOf(statement: string, type = 'TABLE'): Promise<DumpSection> {
  const section = (await sectionsOf(entry(type, 't', statement))).get(`${type} public.t`);
  if (section === undefined) throw new Error('no such section');
  return section;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

describe('sections', () => {
  test('are keyed by what the comment above says, without the owner', async () => {
    const keys = await keysOf(
      'SET a = 1;\n\n',
      entry('SCHEMA', 'shop', 'CREATE SCHEMA shop;', '-'),
      entry('TABLE', 'We "ird; Größe', 'CREATE TABLE x ();', 'a.b'),
      entry('FUNCTION', 'f(integer, text)', 'CREATE FUNCTION f();'),
      entry('TABLE DATA', 't', 'COPY public.t (a) FROM stdin;\n1\n\\.'),
      entry('CAST', 'CAST (integer AS text)', 'CREATE CAST (integer AS text);', '-'),
      entry('COMMENT', 'TABLE t', "COMMENT ON TABLE t IS 'x';"),
      entry('COMMENT', 'EXTENSION "uuid-ossp"', "COMMENT ON EXTENSION x IS 'x';", '-'),
      entry('ACL', 'COLUMN t.a', 'GRANT SELECT(a) ON TABLE t TO x;'),
      entry(
        'DEFAULT ACL',
        'DEFAULT PRIVILEGES FOR TABLES',
        'ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT x TO b;',
      ),
      entry('SEQUENCE SET', 's', "SELECT pg_catalog.setval('public.s', 42, true);"),
    );
    expect(keys).toEqual([
      'preamble',
      'SCHEMA shop',
      'TABLE a.b.We "ird; Größe',
      'FUNCTION public.f(integer, text)',
      'TABLE DATA public.t',
      'CAST (integer AS text)',
      'COMMENT TABLE public.t',
      'COMMENT EXTENSION "uuid-ossp"',
      'ACL COLUMN public.t.a',
      'DEFAULT ACL public.DEFAULT PRIVILEGES FOR TABLES',
      'SEQUENCE SET public.s',
    ]);
  });

  test('exact is the digest of the statements, without comments and empty lines', async () => {
    const sql = 'CREATE TABLE t (\n    a integer\n);\n\n-- a comment\nALTER TABLE t DISABLE TRIGGER x;';
    expect((await sectionOf(sql)).exact).toBe(
      sha256('CREATE TABLE t (\n    a integer\n);\nALTER TABLE t DISABLE TRIGGER x;\n'),
    );
  });

  test('an owner with a hostile name does not change the key', async () => {
    const hostile = 'x; Type: TABLE; Schema: y; Owner: z';
    const [key] = await keysOf(entry('VIEW', 'v', 'CREATE VIEW v;', 'public', hostile));
    expect(key).toBe('VIEW public.v');
  });

  test('text that looks like a comment above an object, within a body, begins none', async () => {
    const body = `CREATE FUNCTION f() AS $$\n${entry('TABLE', 'fake', 'x')}$$;`;
    expect(await keysOf(entry('FUNCTION', 'f()', body))).toEqual(['FUNCTION public.f()']);
  });

  test('a section of comments only does not exist: it would be missing where its owner is left out', async () => {
    const text = '-- *not* creating schema, since initdb creates it\n\n\nALTER SCHEMA public OWNER TO x;';
    expect(await keysOf(entry('SCHEMA', 'public', text, '-'))).toEqual(['OWNER SCHEMA public']);
  });

  test('of the same key are one, whatever their order', async () => {
    const a = entry('OPERATOR', '===', 'CREATE OPERATOR === (int);');
    const b = entry('OPERATOR', '===', 'CREATE OPERATOR === (text);');
    const [both, turned, one, twice] = await Promise.all(
      [[a, b], [b, a], [a], [a, a]].map(async (entries) => [...(await sectionsOf(...entries)).values()]),
    );
    expect(both).toHaveLength(1);
    expect(turned).toEqual(both);
    expect(one).not.toEqual(both);
    expect(twice).not.toEqual(both);
    expect(twice).not.toEqual(one);
  });

  test('the data of a table are none of it, but its columns are, in any order', async () => {
    const data = (columns: string, rows: string) =>
      sectionsOf(entry('TABLE DATA', 't', `COPY public.t (${columns}) FROM stdin;\n${rows}\\.`));
    const first = await data('a, b', '1\t2\n');
    expect(await data('b, a', '')).toEqual(first);
    expect(await data('a, c', '1\t2\n')).not.toEqual(first);
  });
});

describe('what pg_dump sets on the way', () => {
  const table = (name: string) => entry('TABLE', name, `CREATE TABLE ${name} ();`);

  test('counts for the objects behind it, not for the one before', async () => {
    const plain = await sectionsOf(table('a'), table('b'), entry('FUNCTION', 'f()', 'CREATE FUNCTION f();'));
    const spaced = await sectionsOf(
      table('a'),
      'SET default_tablespace = fast;\n\n',
      table('b'),
      entry('FUNCTION', 'f()', 'CREATE FUNCTION f();'),
    );
    const differing = [...plain.keys()].filter((key) => plain.get(key)?.exact !== spaced.get(key)?.exact);
    expect(differing).toEqual(['TABLE public.b']);
    expect([...spaced.keys()]).toEqual([...plain.keys()]);
  });

  test('to what it is anyway counts for nothing', async () => {
    const settings = "SET default_tablespace = '';\n\nSET default_table_access_method = heap;\n\n";
    expect(await sectionsOf(settings, table('a'))).toEqual(await sectionsOf(table('a'), settings));
    const other = settings.replace('heap', 'columnar');
    expect(await sectionsOf(other, table('a'))).not.toEqual(await sectionsOf(table('a')));
  });
});

describe('what is about roles', () => {
  const owned = (owner: string) =>
    entry(
      'TABLE',
      't',
      `CREATE TABLE t ();\n\n\nALTER TABLE public.t OWNER TO ${owner};\n\nREVOKE ALL ON TABLE t FROM ${owner};`,
    );

  test('is left out of the section and stands for itself', async () => {
    const [a, b, none] = [
      await sectionsOf(owned('a')),
      await sectionsOf(owned('"we ird"')),
      await sectionsOf(entry('TABLE', 't', 'CREATE TABLE t ();')),
    ];
    expect([...a.keys()].sort()).toEqual(['ACL TABLE public.t', 'OWNER TABLE public.t', 'TABLE public.t']);
    expect(a.get('TABLE public.t')).toEqual(none.get('TABLE public.t'));
    expect(b.get('TABLE public.t')).toEqual(none.get('TABLE public.t'));
    for (const key of ['ACL TABLE public.t', 'OWNER TABLE public.t']) {
      expect(a.get(key)?.exact).not.toBe(b.get(key)?.exact);
    }
  });

  test.each([
    ['SET SESSION AUTHORIZATION x;', 'OWNER TABLE public.t'],
    ["SET SESSION AUTHORIZATION 'x y';", 'OWNER TABLE public.t'],
    ['RESET SESSION AUTHORIZATION;', 'OWNER TABLE public.t'],
    ['ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT SELECT ON TABLES TO b;', 'DEFAULT ACL TABLE public.t'],
    ['GRANT SELECT ON TABLE t TO x;', 'ACL TABLE public.t'],
    ['ALTER FUNCTION f(a integer) OWNER TO x;', 'OWNER TABLE public.t'],
    ['ALTER TABLE t ALTER COLUMN "OWNER TO x;" SET DEFAULT 1;', 'TABLE public.t'],
    ["COMMENT ON TABLE t IS 'ALTER TABLE t OWNER TO x;';", 'TABLE public.t'],
    ['SET x = 1;', 'TABLE public.t'],
  ])('%s', async (statement, key) => {
    expect(await keysOf(entry('TABLE', 't', statement))).toEqual([key]);
  });

  test('in a section of privileges stays there, in its order', async () => {
    const grants = [
      'SET SESSION AUTHORIZATION a;',
      'GRANT SELECT ON TABLE t TO b;',
      'RESET SESSION AUTHORIZATION;',
    ];
    const acl = (statements: readonly string[]) => sectionsOf(entry('ACL', 'TABLE t', statements.join('\n')));
    expect([...(await acl(grants)).keys()]).toEqual(['ACL TABLE public.t']);
    expect(await acl(grants.toReversed())).not.toEqual(await acl(grants));
  });
});

describe('large objects', () => {
  const write = (oid: number, data: string) =>
    `SELECT pg_catalog.lo_open('${oid}', 131072);\nSELECT pg_catalog.lowrite(0, '\\x${data}');\nSELECT pg_catalog.lo_close(0);\n\n`;
  const blobs = (...groups: string[]) =>
    groups.map((text) => entry('BLOBS', 'BLOBS', `BEGIN;\n\n${text}COMMIT;`, '-')).join('');

  test('are one section, however they are grouped', async () => {
    const one = await sectionsOf(blobs(write(1, '00') + write(2, 'ff')));
    expect([...one.keys()]).toEqual(['BLOBS large objects']);
    expect(await sectionsOf(blobs(write(2, 'ff'), write(1, '00')))).toEqual(one);
    expect(await sectionsOf(blobs(write(1, 'ff') + write(2, '00')))).not.toEqual(one);
    expect(await sectionsOf(blobs(write(1, '00')))).not.toEqual(one);
  });

  test('share one key each for what makes them, their owners, privileges and comments', async () => {
    const meta = (oid: number) =>
      entry(
        'BLOB',
        `${oid}`,
        `SELECT pg_catalog.lo_create('${oid}');\n\n\nALTER LARGE OBJECT ${oid} OWNER TO x;`,
        '-',
      ) +
      entry('ACL', `LARGE OBJECT ${oid}`, `GRANT SELECT ON LARGE OBJECT ${oid} TO x;`, '-') +
      entry('COMMENT', `LARGE OBJECT ${oid}`, `COMMENT ON LARGE OBJECT ${oid} IS 'x';`, '-');
    const both = await sectionsOf(meta(1), meta(2));
    expect([...both.keys()].sort()).toEqual([
      'ACL large objects',
      'BLOB large objects',
      'COMMENT large objects',
      'OWNER BLOB large objects',
    ]);
    expect(await sectionsOf(meta(2), meta(1))).toEqual(both);
    expect(await sectionsOf(meta(1), meta(3))).not.toEqual(both);
  });

  test('that are made together are the same as those made one by one', async () => {
    const create = (oid: number) => `SELECT pg_catalog.lo_create('${oid}');\n`;
    const group = (name: string, sql: string) => entry('BLOB METADATA', name, sql, '-');
    const together = await sectionsOf(group('1..2', create(1) + create(2)));
    expect([...together.keys()]).toEqual(['BLOB METADATA large objects']);
    expect(await sectionsOf(group('2', create(2)), group('1', create(1)))).toEqual(together);
  });

  test('a table may be called so', async () => {
    const sql = 'CREATE TABLE t ();\nALTER TABLE t ADD x int;';
    const sections = await sectionsOf(entry('TABLE', 'my large objects', sql));
    expect(sections.get('TABLE public.my large objects')?.exact).toBe(sha256(`${sql}\n`));
  });
});

describe('the loose digest', () => {
  const check = (expression: string) => `CREATE TABLE t (a text CHECK (${expression}));`;
  const same = (a: string, b: string) => [check(a), check(b)] as const;

  test.each([
    same(
      "(status)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])",
      "(status)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])",
    ),
    same("a = 'x'::character varying(20)[]", "a = 'x'"),
    same("a = 'x'::character varying(20)", "a = 'x'::text"),
    same('a = \'x\'::public."My ""Type"""[]', "a = 'x'"),
    same("a = 'x'::public.geometry(Point,4326)", "a = 'x'"),
    same("a > '1'::timestamp(3) without time zone", "a > '1'::time with time zone"),
    same("a > '1'::interval day to second(3)", "a > '1'::interval"),
    same("a > '1'::double precision", "a > '1'"),
    same("a > '1'::bit varying(5)", "a > '1'::bit(5)"),
    same('a > (b + c)', 'a  >\n b + c'),
    same('(a)::numeric(4,1) > b', 'a > b'),
  ])('is the same for %s and %s', async (a, b) => {
    const [first, second] = [await sectionOf(a), await sectionOf(b)];
    expect(second.exact).not.toBe(first.exact);
    expect(second.loose).toBe(first.loose);
  });

  test.each([
    same("a = 'x'::text", "a = 'y'::text"),
    same("a = 'x'::text", "a = 'x '::text"),
    same("a = 'x::text'", "a = 'x'"),
    same("a = '(x)'", "a = 'x'"),
    same('"a b" > 1', '"a  b" > 1'),
    same('a > 1', 'b > 1'),
    same('a > 1', 'a < 1'),
    same('a > 1', 'a >= 1'),
    same('a > 1', 'a > 11'),
    same('a > b c', 'a > bc'),
    same("a > '1'::interval day", "a > '1'::interval AND day"),
    same("a[1] = 'x'::text", "a[2] = 'x'::text"),
    same('a > $$x y$$', 'a > $$x  y$$'),
    same("a = ANY (ARRAY['a'::text, 'b'::text])", "a = ANY (ARRAY['a'::text])"),
    same("a = 'x'::text OR b", "a = 'x'::text AND b"),
    same('a = (1)::text COLLATE "C"', 'a = (1)::text COLLATE "D"'),
    same("a = 'x'::character x", "a = 'x'::character"),
  ])('tells %s from %s', async (a, b) => {
    expect((await sectionOf(b)).loose).not.toBe((await sectionOf(a)).loose);
  });

  test('of a body between dollars is that of its text', async () => {
    const body = (text: string) => sectionOf(`CREATE FUNCTION f() AS $_$${text}$_$;`, 'FUNCTION');
    expect((await body('a ')).loose).not.toBe((await body('a')).loose);
    expect((await body('(a)')).loose).not.toBe((await body('a')).loose);
    expect((await body('a::text')).loose).not.toBe((await body('a')).loose);
  });

  test('of a statement of megabytes is the exact one, in any chunks', async () => {
    const dump = (first: string, last: string) =>
      Buffer.from(`CREATE FUNCTION f() AS (a) $$${first}${'x'.repeat(4 << 20)}${last}$$;\n${END}`);
    const [one, other, another] = await Promise.all(
      [dump('a', 'a'), dump('b', 'a'), dump('a', 'b')].map(async (bytes) => {
        const whole = (await survey([bytes])).sections.get('preamble');
        const at = 1 << 20;
        expect((await survey([bytes.subarray(0, at), bytes.subarray(at)])).sections.get('preamble')).toEqual(
          whole,
        );
        expect(whole?.loose).toBe(whole?.exact);
        return whole?.exact;
      }),
    );
    expect(new Set([one, other, another]).size).toBe(3);
  });

  test('is loose behind megabytes of other statements too', async () => {
    const long = `COMMENT ON TABLE t IS '${'x'.repeat(700_000)}';\n`;
    const { exact, loose } = await sectionOf(`${long}${long}CREATE TABLE t (a);`);
    const other = await sectionOf(`${long}${long}CREATE TABLE t a;`);
    expect(other.exact).not.toBe(exact);
    expect(other.loose).toBe(loose);
  });

  test('of data is the exact one', async () => {
    const { exact, loose } = await sectionOf(
      "SELECT pg_catalog.setval('t', (1)::int, true);",
      'SEQUENCE SET',
    );
    expect(loose).toBe(exact);
  });
});

describe('needs', () => {
  test.each([
    ['ALTER TABLE public."OWNER TO y;" OWNER TO "we ird";', ['we ird']],
    ['ALTER LARGE OBJECT 1 OWNER TO a;', ['a']],
    ['ALTER FUNCTION f(a text, "TO x" integer) OWNER TO "Größe";', ['Größe']],
    ['GRANT SELECT ON TABLE public."TO" TO a WITH GRANT OPTION;', ['a']],
    ['GRANT SELECT(id),UPDATE(id) ON TABLE t TO "a""b";', ['a"b']],
    ['GRANT ALL ON FUNCTION f(x integer) TO a GRANTED BY b;', ['a', 'b']],
    ['REVOKE ALL ON SCHEMA public FROM a;', ['a']],
    ['REVOKE GRANT OPTION FOR SELECT ON TABLE t FROM a;', ['a']],
    ['GRANT a TO b WITH ADMIN OPTION GRANTED BY c;', ['a', 'b', 'c']],
    ['GRANT USAGE ON SCHEMA s TO PUBLIC;', []],
    ['GRANT pg_monitor TO b;', ['b']],
    ['GRANT SELECT ON TABLE t TO "PUBLIC";', ['PUBLIC']],
    ["SET SESSION AUTHORIZATION 'it''s';", ["it's"]],
    ["SET SESSION AUTHORIZATION E'a\\\\b';", ['a\\b']],
    ['SET SESSION AUTHORIZATION DEFAULT;', []],
    ['ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA s GRANT SELECT ON TABLES  TO b;', ['a', 'b']],
    ['ALTER DEFAULT PRIVILEGES FOR ROLE a REVOKE ALL ON FUNCTIONS  FROM PUBLIC;', ['a']],
    ['CREATE POLICY p ON t AS RESTRICTIVE FOR SELECT TO "we ird", b USING ((c TO d));', ['b', 'we ird']],
    ["CREATE POLICY p ON t USING ((a = 'TO x'::text));", []],
    ['CREATE POLICY p ON t USING ((a SIMILAR TO b));', []],
    ['ALTER TABLE t RENAME "OWNER" TO x;', []],
    ['CREATE POLICY p ON t TO CURRENT_USER USING (true);', []],
    ['ALTER TABLE t OWNER TO pg_database_owner;', []],
    ['ALTER ROLE a IN DATABASE d SET x TO y;', ['a']],
    ["CREATE TABLESPACE ts OWNER a LOCATION '/x';", ['a']],
    ['CREATE ROLE a;\nGRANT a TO b;', ['b']],
    ['CREATE FUNCTION f() AS $$\nALTER TABLE t\n  OWNER TO x;\nGRANT a TO b;\n$$;', []],
    ["COMMENT ON TABLE t IS 'GRANT a TO b;';", []],
    ['ALTER TABLE t ADD CONSTRAINT c CHECK (owner);', []],
  ])('roles in %s', async (statement, roles) => {
    expect((await needsOf(statement)).roles).toEqual(roles);
  });

  test('roles are found in sections of data too: pg_dump changes the role before the comment', async () => {
    const { needs } = await survey([
      `${entry('TABLE DATA', 't', 'COPY public.t (a) FROM stdin;\n\\.\n\nSET SESSION AUTHORIZATION a;')}${END}`,
    ]);
    expect(needs.roles).toEqual(['a']);
  });

  test('owners of what only superusers may own', async () => {
    const { superusers, roles } = await needsOf(
      'ALTER EVENT TRIGGER x OWNER TO a;',
      'ALTER FOREIGN DATA WRAPPER x OWNER TO b;',
      'ALTER SERVER x OWNER TO c;',
      'ALTER SUBSCRIPTION x OWNER TO d;',
      'CREATE PUBLICATION every FOR ALL TABLES WITH (x);',
      'CREATE PUBLICATION some WITH (x);',
      'ALTER PUBLICATION every OWNER TO e;',
      'ALTER PUBLICATION some OWNER TO f;',
    );
    expect({ superusers, roles }).toEqual({
      superusers: ['a', 'b', 'd', 'e'],
      roles: ['a', 'b', 'c', 'd', 'e', 'f'],
    });
  });

  test('extensions and tablespaces', async () => {
    const needs = await needsOf(
      'CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;',
      'CREATE EXTENSION hstore;',
      "SET default_tablespace = '';",
      'SET default_tablespace = fast;',
      'SET default_tablespace = "we ird";',
      'SET default_tablespace = pg_default;',
      'CREATE DATABASE d WITH TEMPLATE = template0 TABLESPACE = ts;',
    );
    expect(needs).toEqual({
      roles: [],
      superusers: [],
      extensions: ['hstore', 'uuid-ossp'],
      tablespaces: ['fast', 'ts', 'we ird'],
    });
  });

  test('a user mapping names its role, and its password is nowhere', async () => {
    const found = await survey([
      `CREATE USER MAPPING FOR "we ird" SERVER s OPTIONS (\n    password 'geheim''s',\n    "user" 'FOR y'\n);\n`,
      `CREATE USER MAPPING FOR public SERVER s;\n${END}`,
    ]);
    expect(found.needs.roles).toEqual(['we ird']);
    expect(JSON.stringify({ ...found, sections: [...found.sections] })).not.toContain('geheim');
  });
});

describe('versions', () => {
  test('are those of the comments at the start', async () => {
    const found = await survey([
      '-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)\n-- Dumped by pg_dump version 18.1\n' +
        `-- Dumped from database version 1\n${END}`,
    ]);
    expect(found).toMatchObject({ server_version: '15.18 (Debian 15.18-0+deb12u1)', tool_version: '18.1' });
  });

  test('are absent where the dump does not say', async () => {
    const found = await survey([`SELECT '\n-- Dumped from database version 1\n';\n${END}`]);
    expect(found).not.toHaveProperty('server_version');
    expect(found).not.toHaveProperty('tool_version');
  });
});

describe('rows', () => {
  const block = (name: string, rows: string) => `COPY public.${name} (a) FROM stdin;\n${rows}\\.\n`;

  test('have a digest where it was asked for', async () => {
    const found = await survey([block('a', '1\n2\n') + block('b', '1\n') + block('a', '2\n1\n') + END]);
    expect(found.multisets).toHaveLength(3);
    expect(found.multisets[2]).toBe(found.multisets[0]);
    expect(found.multisets[1]).not.toBe(found.multisets[0]);
    const asked = new PlainDumpSurveyor(({ schema, name }) => `${schema}.${name}` === 'public.b');
    asked.write(Buffer.from(block('a', '1\n') + block('b', '1\n') + END));
    await asked.end();
    expect(asked.survey().multisets).toEqual([undefined, found.multisets[1]]);
  });
});

describe('as an inspector', () => {
  test('it fails where the inspector fails, and has no survey then', async () => {
    await using surveyor = new PlainDumpSurveyor(() => true);
    surveyor.write(Buffer.from('SELECT 1;\n'));
    await expect(surveyor.end()).rejects.toMatchObject({ code: 'DUMP_TRUNCATED' });
    expect(() => surveyor.survey()).toThrow('not read to its end');
  });

  test('globals have no tables', async () => {
    const globals = `CREATE ROLE a;\nALTER ROLE a WITH LOGIN;\n${END.replace('database', 'database cluster')}`;
    const { contents } = await survey([globals]);
    expect(contents).toEqual({ tables: [], schema_sha256: sha256(globals) });
  });
});

describe('chunks', () => {
  const name = fc.constantFrom('a', 'B c', 'Größe', 'COPY', 'x; Type: y');
  const line = fc.oneof(
    fc.constantFrom(
      'SELECT 1;',
      "SELECT '; (a)::text';",
      'ALTER TABLE a.b OWNER TO c;',
      'GRANT SELECT ON TABLE b TO "c";',
      "SET default_tablespace = '';",
      '-- a comment',
      '',
      '\\connect x',
    ),
    name.map((text) => `COMMENT ON TABLE "${text}" IS '${'long '.repeat(20)}';`),
  );
  const row = fc.constantFrom(
    '',
    '1\t2',
    '\\\\.',
    '\\.x',
    'COPY a.b (c) FROM stdin;',
    '\\N\té',
    '-- Name: x',
  );
  const section = fc
    .record({
      name,
      type: fc.constantFrom('TABLE', 'VIEW', 'DEFAULT ACL'),
      lines: fc.array(line, { maxLength: 4 }),
    })
    .map(({ name: called, type, lines }) => entry(type, called, lines.join('\n')));
  const data = fc
    .record({ name, rows: fc.array(row, { maxLength: 5 }) })
    .map(({ name: called, rows }) =>
      entry(
        'TABLE DATA',
        called,
        `COPY public.b (c, d) FROM stdin;\n${rows.map((text) => `${text}\n`).join('')}\\.`,
      ),
    );
  const dump = fc
    .array(fc.oneof(section, data), { maxLength: 6 })
    .map((entries) => Buffer.from(`SELECT 'preamble';\n${entries.join('')}${END}`));

  test('any splitting gives what one piece gives, and a simple reference', async () => {
    await fc.assert(
      fc.asyncProperty(dump, fc.integer({ min: 1, max: 200 }), async (bytes, chunkBytes) => {
        const whole = await survey([bytes]);
        const pieces = Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, at) =>
          bytes.subarray(at * chunkBytes, (at + 1) * chunkBytes),
        );
        expect(await survey(pieces)).toEqual(whole);
        await using inspector = new PlainDumpInspector();
        inspector.write(bytes);
        expect(whole.contents).toEqual(await inspector.end());
        const expected = surveyByReference(bytes);
        expect(whole.multisets).toEqual(expected.multisets);
        const exact = [...whole.sections].map(([key, value]) => [key, value.exact] as const);
        expect(Object.fromEntries(exact)).toEqual(expected.sections);
      }),
      { numRuns: 500 },
    );
  });
});

describe('memory', () => {
  const MEBIBYTE = Buffer.alloc(1 << 20, 'x');

  test.each([
    ['a row', 'COPY public.t (b, a) FROM stdin;\n', '\n\\.\n'],
    ['a large object', entry('BLOBS', 'BLOBS', "SELECT pg_catalog.lowrite(0, '", '-').trimEnd(), "');\n"],
    ['a function', 'CREATE FUNCTION f() AS $_$', '$_$;\n'],
    ['a comment', '-- Name: ', '\n'],
  ])('is constant for %s of 96 MiB', async (_what, before, after) => {
    const surveyor = new PlainDumpSurveyor(() => true);
    surveyor.write(Buffer.from(before));
    const start = process.memoryUsage().arrayBuffers;
    let peak = 0;
    for (let piece = 0; piece < 96; piece += 1) {
      surveyor.write(MEBIBYTE);
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - start);
    }
    surveyor.write(Buffer.from(after + END));
    await surveyor.end();
    expect(peak).toBeLessThan(24 << 20);
  });
});

test('the dump of a cluster has a section for each statement, whose key never holds a password', async () => {
  const text = [
    '--\n-- PostgreSQL database cluster dump\n--\n\n',
    "SET client_encoding = 'UTF8';\n",
    '--\n-- Roles\n--\n\nCREATE ROLE alice;\n',
    "ALTER ROLE alice WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:secret';\n",
    'CREATE ROLE "Ünï ""q""";\n',
    '--\n-- Role memberships\n--\n\nGRANT admins TO alice GRANTED BY postgres;\n',
    '--\n-- PostgreSQL database cluster dump complete\n--\n\n',
  ].join('');
  const surveyor = new PlainDumpSurveyor(() => false);
  surveyor.write(Buffer.from(text));
  await surveyor.end();
  const { sections } = surveyor.survey();
  expect([...sections.keys()]).toEqual([
    'SET client_encoding =',
    'CREATE ROLE alice',
    'ALTER ROLE alice',
    'CREATE ROLE "Ünï ""q"""',
    'GRANT admins TO alice',
  ]);
});
