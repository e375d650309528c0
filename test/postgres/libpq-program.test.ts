import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { resolveConnection } from '../../src/postgres/connection-params.ts';
import { connectionString, programEnvironment } from '../../src/postgres/libpq-program.ts';

describe('connectionString', () => {
  it('leads to the one chosen host, keeps what libpq must know and never holds the password', async () => {
    const uri =
      'postgresql://o%27brien:s3cret@a,b:7/my%5Cdb?target_session_attrs=primary&sslrootcert=ca.pem&options=-c%20x%3Dy';
    const params = await resolveConnection(uri, { HOME: '/nonexistent', PGPASSFILE: '/x' });
    const [, chosen] = params.targets;
    const text = connectionString(params, chosen ?? { host: '', port: 0 }, 18);
    expect(text).toContain("host='b' port='7' user='o\\'brien' dbname='my\\\\db' application_name='cofre'");
    expect(text).toContain("options='-c x=y'");
    expect(text).toContain(`sslrootcert='${process.cwd()}/ca.pem'`);
    expect(text).not.toMatch(/s3cret|passfile|target_session_attrs|'a'/);
  });

  it('names the file of the system’s authorities to a program that does not know sslrootcert=system', async () => {
    const params = await resolveConnection('postgresql://h/d?sslmode=verify-full&sslrootcert=system', {});
    const target = { host: 'h', port: 5432 };
    expect(connectionString(params, target, 16)).toContain("sslrootcert='system'");
    const known = [
      '/etc/ssl/certs/ca-certificates.crt',
      '/etc/pki/tls/certs/ca-bundle.crt',
      '/etc/ssl/cert.pem',
    ];
    const file = known.find((path) => existsSync(path)) ?? 'system';
    expect(connectionString(params, target, 15)).toContain(`sslrootcert='${file}'`);
  });
});

describe('programEnvironment', () => {
  it('drops every PG* variable, keeps the rest and asks for English messages', () => {
    const env = programEnvironment(
      { PATH: '/bin', HOME: '/h', PGHOST: 'x', PGSSLMODE: 'x', LC_ALL: 'pt_PT.UTF-8', LANGUAGE: 'pt' },
      's3cret',
    );
    expect(env).toEqual({
      PATH: '/bin',
      HOME: '/h',
      LC_CTYPE: 'pt_PT.UTF-8',
      LC_MESSAGES: 'C',
      PGPASSWORD: 's3cret',
    });
    expect(programEnvironment({ PGPASSWORD: 'other' }, undefined)).toEqual({ LC_MESSAGES: 'C' });
  });
});
