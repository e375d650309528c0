import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { resolveConnection } from '../../src/postgres/connection-params.ts';
import {
  connectionString,
  programEnvironment,
  withoutLibpqVariables,
  withSettings,
} from '../../src/postgres/libpq-program.ts';

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

describe('withoutLibpqVariables', () => {
  it('keeps what is not about connections', () => {
    const env = {
      PATH: '/bin',
      HOME: '/h',
      LC_ALL: 'C',
      PGHOSTADDR: '192.0.2.1',
      PGOPTIONS: '-c x=y',
      PGTZ: 'UTC',
    };
    expect(withoutLibpqVariables(env)).toEqual({ PATH: '/bin', HOME: '/h', LC_ALL: 'C' });
  });
});

describe('withSettings', () => {
  async function optionsWith(uri: string, settings: Record<string, string>): Promise<string | undefined> {
    const params = await resolveConnection(uri, {});
    return withSettings(params, new Map(Object.entries(settings))).given.get('options');
  }

  it('adds to the options that are given, so that what it adds counts', async () => {
    expect(await optionsWith('postgresql://h/d?options=-c%20a%3D1', { a: '2', b: '3' })).toBe(
      '-c a=1 -c a=2 -c b=3',
    );
  });

  it('asks for no options, which poolers refuse, where there is nothing to set', async () => {
    expect(await optionsWith('postgresql://h/d', {})).toBeUndefined();
  });

  it('escapes what would end a value', async () => {
    expect(await optionsWith('postgresql://h/d', { a: 'Portuguese Portugal\\1' })).toBe(
      '-c a=Portuguese\\ Portugal\\\\1',
    );
  });
});
