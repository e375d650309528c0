import { describe, expect, it } from 'vitest';
import { BackupError } from '../../../src/domain/errors.ts';
import { DumpFilter, type DumpFilterOptions } from '../../../src/targets/postgres/dump-filter.ts';
import { script } from './restoring.ts';

const OPTIONS: DumpFilterOptions = {
  owners: true,
  singleTransaction: true,
  psqlRestricts: true,
  parameters: new Set(['statement_timeout', 'standard_conforming_strings']),
};
const UNSAFE = 'ARCHIVE_UNSAFE';

/** What passes, or the code of the error. */
function filtered(text: string, more: Partial<DumpFilterOptions> = {}, chunkBytes = 1 << 20): string {
  const filter = new DumpFilter({ ...OPTIONS, ...more });
  const bytes = Buffer.from(text);
  const out: string[] = [];
  try {
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      // The bytes of a chunk may be used again once it was written.
      const chunk = Buffer.from(bytes.subarray(at, at + chunkBytes));
      out.push(...filter.write(chunk).map((part) => part.toString('latin1')));
      chunk.fill(0x58);
    }
    filter.end();
  } catch (error) {
    if (error instanceof BackupError) return error.code;
    throw error;
  }
  return Buffer.from(out.join(''), 'latin1').toString();
}

/** The statements that pass, of a script of these. */
function passing(lines: readonly string[], more: Partial<DumpFilterOptions> = {}): string[] {
  const text = filtered(script(...lines), more);
  return lines.filter((line) => text.includes(`\n${line}\n`));
}

const OWNERSHIP = [
  'ALTER TABLE public.t OWNER TO alice;',
  'ALTER FUNCTION public.f(a integer,\n b text) OWNER TO "Al;""ice\n";',
  'ALTER LARGE OBJECT 4711 OWNER TO é;',
  'GRANT SELECT ON TABLE public.t TO alice;',
  'REVOKE ALL ON SCHEMA public FROM PUBLIC;',
  "SET SESSION AUTHORIZATION 'alice';",
  'RESET SESSION AUTHORIZATION;',
  'ALTER DEFAULT PRIVILEGES FOR ROLE a REVOKE ALL ON TABLES FROM a;',
];
const LOOKALIKES = [
  "ALTER TABLE ONLY public.t ALTER COLUMN a SET DEFAULT ' OWNER TO alice;\n';",
  "ALTER TABLE ONLY public.t ALTER COLUMN a SET DEFAULT 'x\nGRANT a TO b;\n';",
  'ALTER TABLE public.t ENABLE ROW LEVEL SECURITY;',
  "COMMENT ON TABLE public.t IS 'ALTER TABLE t OWNER TO alice;\nGRANT a TO b;\n';",
];
const COPIED = [
  'COPY public.t (a) FROM stdin;',
  'GRANT SELECT ON TABLE public.t TO bob;',
  'SET newer = 0;',
  'COMMIT;',
  String.raw`\! true`,
  String.raw`\\.`,
  String.raw`\.`,
  '',
].join('\n');

describe('the filter of a dump', () => {
  it('passes everything on untouched, however it is cut', () => {
    const text = script(
      'SET statement_timeout = 0;',
      COPIED,
      ...OWNERSHIP,
      ...LOOKALIKES,
      COPIED,
      "SELECT E'\\\\ \\'';",
    );
    for (const chunkBytes of [1 << 20, 1000, 64, 7, 1]) expect(filtered(text, {}, chunkBytes)).toBe(text);
  });

  it('leaves owners and privileges out, but not what looks like them', () => {
    expect(passing([...OWNERSHIP, ...LOOKALIKES, COPIED])).toEqual([...OWNERSHIP, ...LOOKALIKES, COPIED]);
    expect(passing([...OWNERSHIP, ...LOOKALIKES, COPIED], { owners: false })).toEqual([
      ...LOOKALIKES,
      COPIED,
    ]);
  });

  it('keeps the number of each line, however it is cut', () => {
    const text = script(
      '\\restrict abc',
      'SET newer = 0;',
      ...OWNERSHIP,
      'BEGIN;',
      'SELECT 1;',
      'COMMIT;',
      COPIED,
      '\\unrestrict abc',
    );
    const expected = text.split('\n').indexOf('SELECT 1;');
    const whole = filtered(text, { owners: false });
    expect(whole.split('\n').indexOf('SELECT 1;')).toBe(expected);
    expect(whole).not.toMatch(/restrict|newer = 0;\n\n|alice;\n\n|^BEGIN/m);
    for (const chunkBytes of [64, 7, 1]) expect(filtered(text, { owners: false }, chunkBytes)).toBe(whole);
  });

  it('leaves out the transaction around large objects, within a single transaction', () => {
    const lines = ['BEGIN;', 'SELECT pg_catalog.lo_open(1, 131072);', 'COMMIT;'];
    expect(passing(lines)).toEqual([lines[1]]);
    expect(passing(lines, { singleTransaction: false })).toEqual(lines);
  });

  it('leaves out what this server does not know, and remembers it', () => {
    const filter = new DumpFilter(OPTIONS);
    const lines = [
      'SET transaction_timeout = 0;',
      'SET statement_timeout = 0;',
      'SET newer TO x;',
      'SET my.own = 1;',
    ];
    const text = filter.write(Buffer.from(script(...lines))).join('');
    expect(lines.filter((line) => text.includes(line))).toEqual([lines[1], lines[3]]);
    expect(filter.droppedSettings).toEqual(['transaction_timeout', 'newer']);
  });

  it.each([
    '\\! true',
    '\\connect other',
    '\\copy t FROM file',
    '\\i /etc/passwd',
    'SELECT 1 \\g |true',
    'SELECT 1; \\! true',
    'SELECT 1\n\\! true\n;',
    '/* a comment */ \\! true',
    "SELECT 'a' \\; SELECT 2;",
    'copy public.t from stdin;\n\\! true\n\\.',
  ])('refuses a command of psql: %s', (line) => {
    for (const chunkBytes of [1 << 20, 7, 1]) {
      expect(filtered(script('CREATE TABLE t ();', line), {}, chunkBytes)).toBe(UNSAFE);
    }
  });

  it('passes nothing of the piece that holds one', () => {
    const filter = new DumpFilter(OPTIONS);
    expect(() => filter.write(Buffer.from(script('SELECT 1 \\g |true', 'SELECT 2;')))).toThrow(BackupError);
  });

  it('refuses strings with escapes where psql itself does not refuse its commands', () => {
    const off = [
      'SET standard_conforming_strings = off;',
      "SET SESSION standard_conforming_strings TO 'off';",
    ];
    for (const line of off) {
      expect(filtered(script(line), { psqlRestricts: false })).toBe('TOOL_MISSING');
      expect(filtered(script(line))).not.toBe('TOOL_MISSING');
    }
    expect(filtered(script('SET standard_conforming_strings = on;'), { psqlRestricts: false })).not.toBe(
      'TOOL_MISSING',
    );
  });

  it('says that a dump is not complete', () => {
    expect(filtered('SELECT 1;\n')).toBe('DUMP_TRUNCATED');
    expect(filtered('')).toBe('DUMP_EMPTY');
  });
});
