import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/config/faults.ts';
import { loadConfig } from '../../src/config/load.ts';
import { DATABASE_URI, linesOf, loadFrom, makeDirectory, validConfig, writeConfig } from './config-dir.ts';

describe('the file is found', () => {
  test('by the path given, then COFRE_CONFIG, then ./config.json', async () => {
    const directory = await makeDirectory();
    await mkdir(join(directory, 'sub'));
    const named = join(directory, 'sub/named.json');
    await writeFile(named, JSON.stringify(validConfig()));
    const usual = await writeConfig(directory, validConfig());
    const env = { DATABASE_URI };
    const find = async (path: string | undefined, more: NodeJS.ProcessEnv) =>
      (
        await loadConfig({
          ...(path === undefined ? {} : { path }),
          cwd: directory,
          env: { ...env, ...more },
        })
      ).path;

    expect(await find('sub/named.json', { COFRE_CONFIG: 'config.json' })).toBe(named);
    expect(await find(undefined, { COFRE_CONFIG: 'sub/named.json' })).toBe(named);
    expect(await find(undefined, { COFRE_CONFIG: '' })).toBe(usual);
    expect(await find(undefined, {})).toBe(usual);
  });

  test.each<[string, { path?: string; env: NodeJS.ProcessEnv }, string[]]>([
    ['a path given', { path: 'x.json', env: { COFRE_CONFIG: 'config.json' } }, ['x.json']],
    ['COFRE_CONFIG', { env: { COFRE_CONFIG: 'y.json' } }, ['y.json']],
  ])('and %s that is not there is not passed over', async (_, options, places) => {
    const directory = await makeDirectory();
    await writeConfig(directory, validConfig());
    await expect(loadConfig({ ...options, cwd: directory })).rejects.toMatchObject({
      code: 'CONFIG_NOT_FOUND',
      message: `there is no configuration file; tried ${places.map((place) => join(directory, place)).join(', ')}`,
    });
  });

  test('else at the place of the system', async () => {
    const directory = await makeDirectory();
    const systemPath = await writeConfig(directory, validConfig());
    const { path } = await loadConfig({
      cwd: join(directory, 'elsewhere'),
      env: { DATABASE_URI },
      systemPath,
    });
    expect(path).toBe(systemPath);
  });

  test('or the places tried are named', async () => {
    const directory = await makeDirectory();
    const systemPath = join(directory, 'etc/config.json');
    await expect(loadConfig({ env: {}, cwd: directory, systemPath })).rejects.toMatchObject({
      code: 'CONFIG_NOT_FOUND',
      message: `there is no configuration file; tried ${directory}/config.json, ${systemPath}`,
      hint: expect.stringContaining('--config') as string,
    });
  });

  test('and one that cannot be read is an error of its own', async () => {
    const directory = await makeDirectory();
    await mkdir(join(directory, 'config.json'));
    expect(await linesOf(loadConfig({ env: {}, cwd: directory }), directory)).toEqual([
      'config.json: cannot be read (received EISDIR; allowed: a file that the user who runs cofre can read)',
    ]);
  });
});

test('every default is filled in', async () => {
  const { config, warnings, path } = await loadFrom(validConfig());
  const directory = join(path, '..');
  const retention = { days: 30, keepLast: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
  expect(warnings).toEqual([]);
  expect(config).toEqual({
    enabled: true,
    timezone: 'UTC',
    location: join(directory, 'backups'),
    jobs: [
      {
        name: 'app',
        enabled: true,
        schedule: '0 2 * * *',
        timezone: 'UTC',
        sources: [
          {
            type: 'postgres',
            name: 'app',
            url: DATABASE_URI,
            format: 'plain',
            include: { schemas: [], tables: [] },
            exclude: { schemas: [], tables: [] },
            lockWaitTimeout_ms: 60_000,
            exclusive: false,
          },
          {
            type: 'files',
            name: 'uploads',
            directories: [{ name: 'uploads', path: '/srv/uploads' }],
            exclude: [],
          },
        ],
        compression: { type: 'gzip', level: 6 },
        timeout_ms: 21_600_000,
        retries: 2,
        jitter_ms: 0,
        catchUp: true,
        grace_ms: 3_600_000,
        verify: 'contents',
        hooks: {},
        retention,
      },
    ],
    concurrency: 1,
    requireMount: false,
    retention: { schedule: '30 3 * * *', policy: retention },
    scratch: {},
    http: {
      host: '127.0.0.1',
      port: 9480,
      socketMode: 0o660,
      tokens: [],
      metrics: 'public',
      trustedProxies: [],
      restoreTargets: [],
    },
    notify: [],
  });
});

test.each([
  [undefined, undefined],
  [false, undefined],
  [true, { passwords: false }],
  [{}, { passwords: false }],
  [{ passwords: true }, { passwords: true }],
])('the roles of a server with `globals`: %j', async (globals, expected) => {
  const source = { type: 'postgres', name: 'app', url: { env: 'DATABASE_URI' }, globals };
  const jobs = { app: { schedule: '0 2 * * *', sources: [source] } };
  const { config } = await loadFrom({ location: '/backups', jobs });
  expect(config.jobs[0]?.sources[0]).toMatchObject(expected === undefined ? {} : { globals: expected });
  expect('globals' in (config.jobs[0]?.sources[0] ?? {})).toBe(expected !== undefined);
});

test('a job takes from the top level what it leaves out, and its own settings win', async () => {
  const top = {
    timezone: 'Europe/Lisbon',
    compression: { type: 'zstd', level: 7 },
    timeout: '1h',
    retries: 5,
    jitter: '10s',
    catchUp: false,
    grace: '2h',
    verify: 'checksum',
    retention: { schedule: '0 4 * * *', days: 10, keepLast: 3, weekly: 4 },
  };
  const own = {
    enabled: false,
    timezone: 'Asia/Tokyo',
    compression: 'zstd',
    timeout: '500ms',
    retries: 0,
    jitter: '0s',
    catchUp: true,
    grace: '1d',
    verify: 'contents',
    hooks: { before: ['true'], failure: ['mail', ''] },
    retention: { days: 0, monthly: 12 },
  };
  const source = (name: string) => ({ type: 'files', name, directories: ['/srv'] });
  const { config } = await loadFrom({
    location: '/backups',
    ...top,
    jobs: {
      inheriting: { schedule: '0 2 * * *', sources: [source('a')] },
      own: { schedule: '@daily', sources: [source('b')], ...own },
    },
  });
  const [inheriting, overriding] = config.jobs;
  const policy = { days: 10, keepLast: 3, hourly: 0, daily: 0, weekly: 4, monthly: 0, yearly: 0 };
  expect(inheriting).toMatchObject({
    enabled: true,
    timezone: 'Europe/Lisbon',
    compression: { type: 'zstd', level: 7 },
    timeout_ms: 3_600_000,
    retries: 5,
    jitter_ms: 10_000,
    catchUp: false,
    grace_ms: 7_200_000,
    verify: 'checksum',
    hooks: {},
    retention: policy,
  });
  expect(overriding).toMatchObject({
    enabled: false,
    timezone: 'Asia/Tokyo',
    compression: { type: 'zstd', level: 3 },
    timeout_ms: 500,
    retries: 0,
    jitter_ms: 0,
    catchUp: true,
    grace_ms: 86_400_000,
    verify: 'contents',
    hooks: { before: ['true'], failure: ['mail', ''] },
    retention: { ...policy, days: 0, monthly: 12 },
  });
  expect(config.retention).toEqual({ schedule: '0 4 * * *', policy });
});

test('anomalies: the shares of the job as a whole, else those of the top level, and none with false', async () => {
  const shares = async (top: object, job: object) => {
    const { jobs, ...rest } = validConfig();
    const { config } = await loadFrom({ ...rest, ...top, jobs: { app: { ...jobs.app, ...job } } });
    return config.jobs[0]?.anomaly;
  };
  expect(await shares({}, {})).toBeUndefined();
  expect(await shares({ anomaly: {} }, {})).toEqual({ rowsDown: 0.5, sizeDown: 0.5 });
  expect(await shares({ anomaly: { rowsDown: 0.2, sizeDown: 0.3 } }, {})).toEqual({
    rowsDown: 0.2,
    sizeDown: 0.3,
  });
  expect(await shares({ anomaly: { rowsDown: 0.2 } }, { anomaly: { sizeDown: 0.3 } })).toEqual({
    rowsDown: 0.5,
    sizeDown: 0.3,
  });
  expect(await shares({ anomaly: {} }, { anomaly: false })).toBeUndefined();
  expect(await shares({ anomaly: false }, { anomaly: {} })).toEqual({ rowsDown: 0.5, sizeDown: 0.5 });
});

test('switched off at the top, every job is off', async () => {
  const { config } = await loadFrom({ ...validConfig(), enabled: false });
  expect(config.jobs.map(({ enabled }) => enabled)).toEqual([false]);
});

test('relative paths are relative to the file, not to the working directory', async () => {
  const directory = await makeDirectory();
  await mkdir(join(directory, 'etc'));
  await writeConfig(join(directory, 'etc'), {
    location: '../backups',
    jobs: {
      app: {
        schedule: '0 2 * * *',
        sources: [
          { type: 'postgres', name: 'app', url: { file: 'uri' }, binDir: 'bin' },
          { type: 'files', name: 'files', directories: ['.', { path: '../data/', as: 'logs' }] },
        ],
      },
    },
  });
  await writeFile(join(directory, 'etc/uri'), DATABASE_URI, { mode: 0o600 });
  const { config } = await loadConfig({ path: 'etc/config.json', env: {}, cwd: directory });
  expect(config.location).toBe(join(directory, 'backups'));
  expect(config.jobs[0]?.sources).toMatchObject([
    { url: DATABASE_URI, binDir: join(directory, 'etc/bin') },
    {
      directories: [
        { name: 'etc', path: join(directory, 'etc') },
        { name: 'logs', path: join(directory, 'data') },
      ],
    },
  ]);
});

describe('COFRE_HTTP_HOST and COFRE_HTTP_PORT', () => {
  const http = { host: 'localhost', port: 1 };

  test('override the file, also from .env', async () => {
    const directory = await makeDirectory();
    await writeConfig(directory, { ...validConfig(), http });
    await writeFile(join(directory, '.env'), 'COFRE_HTTP_HOST=0.0.0.0\nCOFRE_HTTP_PORT=7');
    const { config, env } = await loadConfig({ cwd: directory, env: { DATABASE_URI, COFRE_HTTP_PORT: '0' } });
    expect(config.http).toMatchObject({ host: '0.0.0.0', port: 0 });
    expect(env).toEqual({ DATABASE_URI, COFRE_HTTP_HOST: '0.0.0.0', COFRE_HTTP_PORT: '0' });
  });

  test('count as not set when empty', async () => {
    const { config } = await loadFrom(
      { ...validConfig(), http },
      { DATABASE_URI, COFRE_HTTP_HOST: '', COFRE_HTTP_PORT: '' },
    );
    expect(config.http).toMatchObject(http);
  });

  test('are named when they are wrong', async () => {
    const directory = await makeDirectory();
    await writeConfig(directory, validConfig());
    const env = { DATABASE_URI, COFRE_HTTP_HOST: 'a b', COFRE_HTTP_PORT: '65536' };
    expect(await linesOf(loadConfig({ cwd: directory, env }), directory)).toEqual([
      'COFRE_HTTP_HOST: not a valid value of this variable (received "a b"; allowed: a host name or address)',
      'COFRE_HTTP_PORT: not a valid value of this variable (received "65536"; allowed: a whole number from 0 to 65535)',
    ]);
  });

  test.each(['0x50', ' 80', '8e1', '80.0', '-1'])('%j is no port', async (port) => {
    await expect(loadFrom(validConfig(), { DATABASE_URI, COFRE_HTTP_PORT: port })).rejects.toThrow(
      'COFRE_HTTP_PORT',
    );
  });
});

test('loading changes no environment', async () => {
  const directory = await makeDirectory();
  await writeConfig(directory, validConfig());
  await writeFile(join(directory, '.env'), 'COFRE_CONFIG_TEST=1');
  const env = { DATABASE_URI };
  await loadConfig({ cwd: directory, env });
  expect(env).toEqual({ DATABASE_URI });
  expect(process.env.COFRE_CONFIG_TEST).toBeUndefined();
});

describe('warnings', () => {
  test('no job', async () => {
    expect((await loadFrom({ location: 'b', jobs: {} })).warnings).toEqual([
      'jobs: there is none, so nothing is backed up',
    ]);
  });

  test('retention periods beside a default of `days` that hides them', async () => {
    const { app } = validConfig().jobs;
    const load = async (top: object, job: object) =>
      (
        await loadFrom({ location: 'b', jobs: { app: { ...app, retention: job } }, retention: top })
      ).warnings.map((warning) => warning.split(':', 1)[0]);
    expect(await load({ daily: 7 }, { weekly: 4 })).toEqual(['retention', 'jobs.app.retention']);
    expect(await load({ daily: 7, days: 0 }, { weekly: 4 })).toEqual([]);
    expect(await load({}, { weekly: 4, days: 3 })).toEqual([]);
    expect(await load({ keepLast: 7, daily: 0 }, {})).toEqual([]);
  });

  test('a location within a directory that is backed up', async () => {
    const load = async (directory: string, location = '/srv/backups') =>
      (
        await loadFrom({
          location,
          jobs: {
            a: {
              schedule: '@daily',
              sources: [{ type: 'files', name: 'a', directories: [{ path: directory, as: 'x' }] }],
            },
          },
        })
      ).warnings;
    for (const directory of ['/srv', '/']) {
      expect(await load(directory)).toEqual([
        'jobs.a.sources[0].directories[0]: the location /srv/backups lies in it and is left out',
      ]);
    }
    expect(await load('/srv/backups/')).toEqual([
      'jobs.a.sources[0].directories[0]: it is the location itself, which is never backed up, so that this source fails',
    ]);
    for (const directory of ['/srv/backups/x', '/srv/back', '/srv/..backups']) {
      expect(await load(directory)).toEqual([]);
    }
    expect(await load('/srv', '/srv/..backups')).toHaveLength(1);
  });
});

test('no JSON makes loading throw anything but ConfigError, nor shows a secret', async () => {
  const directory = await makeDirectory();
  const secret = 'postgres://u:s3cret@h/d';
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(
      secret,
      '\0',
      '',
      -1,
      [],
      {},
      null,
      '0 0 31 2 *',
      { env: 'X' },
      { file: '/' },
      { file: secret },
    ),
  );
  const loosely = (keys: Record<string, fc.Arbitrary<unknown>>) =>
    fc.oneof(
      { weight: 9, arbitrary: fc.record(keys, { requiredKeys: [] }) },
      { weight: 1, arbitrary: value },
    );
  const sometimes = (likely: unknown) => fc.oneof(fc.constant(likely), value);
  const source = loosely({
    type: fc.constantFrom('postgres', 'files'),
    name: sometimes('app'),
    url: value,
    directories: fc.oneof(fc.array(value), value),
    exclude: value,
    format: value,
  });
  const job = loosely({
    schedule: sometimes('0 2 * * *'),
    sources: fc.oneof(fc.array(source), value),
    retention: value,
    compression: value,
    hooks: value,
    timezone: value,
    timeout: value,
  });
  const config = loosely({
    location: sometimes('b'),
    jobs: fc.oneof(
      fc.dictionary(fc.oneof(fc.constantFrom('app', 'db', '__proto__', 'x y'), fc.string()), job),
      value,
    ),
    retention: value,
    http: value,
    scrub: value,
    jitter: value,
  });
  await fc.assert(
    fc.asyncProperty(fc.oneof(config, fc.jsonValue()), async (document) => {
      await writeConfig(directory, JSON.stringify(document) ?? 'null');
      const thrown: unknown = await loadConfig({ cwd: directory, env: {} }).then(
        () => new ConfigError('', []),
        (error: unknown) => error,
      );
      expect(thrown).toBeInstanceOf(ConfigError);
      const { message, faults } = thrown as ConfigError;
      expect(message.split('\n')).toHaveLength(faults.length + 1);
      expect(message).not.toContain('s3cret');
    }),
    { numRuns: 400 },
  );
});
