import { describe, expect, it } from 'vitest';
import { BackupError } from '../../../src/domain/errors.ts';
import { parseGlobals } from '../../../src/targets/postgres/globals-statements.ts';

describe('a script of roles and tablespaces', () => {
  it.each([
    ['CREATE ROLE alice', { kind: 'createRole', role: 'alice' }],
    ['CREATE ROLE "Al ""i"" ;ce"', { kind: 'createRole', role: 'Al "i" ;ce' }],
    ['CREATE ROLE "to"', { kind: 'createRole', role: 'to' }],
    ['CREATE ROLE é', { kind: 'createRole', role: 'é' }],
    ["ALTER ROLE alice WITH LOGIN PASSWORD 'a;''b\\'", { kind: 'ofRole', role: 'alice' }],
    ["ALTER ROLE a SET search_path TO 'x', 'Y'", { kind: 'ofRole', role: 'a' }],
    [
      'ALTER ROLE a IN DATABASE "D b" SET work_mem TO \'1MB\'',
      { kind: 'ofRole', role: 'a', database: 'D b' },
    ],
    ["COMMENT ON ROLE a IS E'it\\'s; -- /* '", { kind: 'ofRole', role: 'a' }],
    ["SECURITY LABEL FOR dummy ON ROLE a IS 'x'", { kind: 'ofRole', role: 'a' }],
    [
      'GRANT "to" TO "from"',
      { kind: 'membership', role: 'to', member: 'from', withoutGrantor: 'GRANT "to" TO "from"' },
    ],
    [
      'GRANT a TO b WITH ADMIN OPTION, INHERIT FALSE GRANTED BY c',
      {
        kind: 'membership',
        role: 'a',
        member: 'b',
        withoutGrantor: 'GRANT a TO b WITH ADMIN OPTION, INHERIT FALSE ',
      },
    ],
    ['GRANT SET ON PARAMETER "my.own" TO a', { kind: 'ofParameter', grantee: 'a' }],
    [
      'CREATE TABLESPACE "Fa st" OWNER a LOCATION \'/x y\'',
      {
        kind: 'createTablespace',
        tablespace: 'Fa st',
        location: '/x y',
        withoutLocation: 'CREATE TABLESPACE "Fa st" OWNER a',
      },
    ],
    [
      'ALTER TABLESPACE fast SET (seq_page_cost=0.5, random_page_cost = 1.1)',
      { kind: 'ofTablespace', tablespace: 'fast' },
    ],
    ['REVOKE ALL ON TABLESPACE fast FROM PUBLIC', { kind: 'ofTablespace', tablespace: 'fast' }],
    ["COMMENT ON TABLESPACE fast IS 'x'", { kind: 'ofTablespace', tablespace: 'fast' }],
    ["SET client_encoding = 'UTF8'", { kind: 'setting', name: 'client_encoding', value: 'UTF8' }],
  ])('%s', (text, expected) => {
    const around = `--\n-- Roles; it's\n--\n\n\\restrict abc\n\n${text};\n\n\\unrestrict abc\n`;
    expect(parseGlobals(around)).toEqual([{ text, ...expected }]);
  });

  it.each([
    'DROP ROLE a;',
    'SELECT 1;',
    'CREATE ROLE a SUPERUSER;',
    'ALTER ROLE a RENAME TO b;',
    'GRANT SELECT ON TABLE t TO a;',
    'REVOKE a FROM b;',
    'CREATE ROLE a; DROP ROLE b;',
    'CREATE ROLE a;\n\\! true\n',
    '\\restrict a \\! true\n',
    'CREATE ROLE U&"\\0061";',
    'CREATE DATABASE x;',
    'DO $$BEGIN END$$;',
    ';',
  ])('holds no %s', (text) => {
    const parse = () => parseGlobals(text);
    expect(parse).toThrow(BackupError);
    expect(parse).toThrow(/what pg_dumpall does not write/);
  });

  it('is not cut off', () => {
    for (const text of ['CREATE ROLE a', 'CREATE ROLE a;\nALTER ROLE']) {
      expect(() => parseGlobals(text)).toThrow(/ends within a statement/);
    }
  });
});
