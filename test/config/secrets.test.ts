import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { DATABASE_URI, linesOf, makeDirectory, validConfig, writeConfig } from './config-dir.ts';

const ALLOWED =
  'a secret that can be read and is a URI beginning with postgres://, postgresql:// or postgresql+driver://';

function configWithUrl(url: unknown) {
  const { location, jobs } = validConfig();
  return {
    location,
    jobs: { app: { ...jobs.app, sources: [{ type: 'postgres', name: 'app', url }] } },
  };
}

/** Loads a configuration with this `url` from a directory that holds these files. */
async function load(url: unknown, files: Record<string, string> = {}, env: NodeJS.ProcessEnv = {}) {
  const directory = await makeDirectory();
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(directory, name), content, { mode: 0o600 });
  }
  await writeConfig(directory, configWithUrl(url));
  const loading = loadConfig({ cwd: directory, env: { CREDENTIALS_DIRECTORY: directory, ...env } });
  return { directory, loading };
}

/** Loads a configuration whose drills are done on a server with this `url`. */
async function loadScratch(url: unknown, env: NodeJS.ProcessEnv) {
  const directory = await makeDirectory();
  await writeConfig(directory, { ...configWithUrl({ env: 'URI' }), scratch: { url } });
  return { directory, loading: loadConfig({ cwd: directory, env: { URI: DATABASE_URI, ...env } }) };
}

async function loadUrl(...args: Parameters<typeof load>) {
  const { config, warnings } = await (await load(...args)).loading;
  const [source] = config.jobs[0]?.sources ?? [];
  return { url: source?.type === 'postgres' ? source.url : undefined, warnings };
}

async function fault(...args: Parameters<typeof load>): Promise<string[]> {
  const { directory, loading } = await load(...args);
  return linesOf(loading, directory);
}

describe('a secret resolves from', () => {
  test('the environment', async () => {
    expect(await loadUrl({ env: 'URI' }, {}, { URI: DATABASE_URI })).toEqual({
      url: DATABASE_URI,
      warnings: [],
    });
  });

  test('.env beside the configuration', async () => {
    expect(await loadUrl({ env: 'URI' }, { '.env': `URI="${DATABASE_URI}"\n` })).toEqual({
      url: DATABASE_URI,
      warnings: [],
    });
  });

  test('the real environment rather than .env', async () => {
    const { url } = await loadUrl(
      { env: 'URI' },
      { '.env': 'URI=postgres://wrong/x' },
      { URI: DATABASE_URI },
    );
    expect(url).toBe(DATABASE_URI);
  });

  test.each(['', '\n', '\r\n'])('a file relative to the configuration that ends in %j', async (end) => {
    expect(await loadUrl({ file: 'uri' }, { uri: DATABASE_URI + end })).toEqual({
      url: DATABASE_URI,
      warnings: [],
    });
  });

  test('a systemd credential', async () => {
    expect(await loadUrl({ credential: 'uri' }, { uri: DATABASE_URI })).toEqual({
      url: DATABASE_URI,
      warnings: [],
    });
  });

  test.each([
    'postgres://h/d',
    'postgresql://h/d',
    'postgresql+asyncpg://h/d',
    'postgresql://a,b:5433/d?service=x',
  ])('the configuration itself: %s', async (uri) => {
    expect(await loadUrl(uri)).toEqual({ url: uri, warnings: [] });
  });
});

test.each([
  'postgres://u:p@h/d',
  'postgres://u:p/w@h/d',
  'postgres://u@h/d?password=p',
  'postgres://h/d?a=b&sslpassword=p',
])('a password in plain text is accepted with a warning: %s', async (uri) => {
  expect(await loadUrl(uri)).toEqual({
    url: uri,
    warnings: [
      'jobs.app.sources[0].url: a password in plain text in the configuration; use {"env": …}, {"file": …} or {"credential": …}',
    ],
  });
});

test('a secret file that others can read is a warning', async () => {
  const { directory, loading } = await load({ file: 'uri' }, { uri: DATABASE_URI });
  await loading;
  await chmod(join(directory, 'uri'), 0o640);
  const { warnings } = await loadConfig({ cwd: directory, env: {} });
  expect(warnings).toEqual([
    `jobs.app.sources[0].url: the file ${join(directory, 'uri')} can be read by others; chmod 600 it`,
  ]);
});

describe('a secret that cannot be resolved is an error:', () => {
  test.each<[string, unknown, string, Record<string, string>?, NodeJS.ProcessEnv?]>([
    [
      'no variable',
      { env: 'URI' },
      'the environment variable URI is not set, tried the environment; there is no readable .env',
    ],
    [
      'no variable in .env either',
      { env: 'URI' },
      'the environment variable URI is not set, tried the environment and .env',
      { '.env': 'URL=x' },
    ],
    ['an empty variable', { env: 'URI' }, 'the environment variable URI is empty', {}, { URI: '' }],
    ['no file', { file: 'uri' }, 'the file uri cannot be read: ENOENT'],
    ['an empty file', { file: 'uri' }, 'the file uri is empty', { uri: '\n' }],
    ['no file but a device', { file: '/dev/zero' }, '/dev/zero is not a regular file'],
    ['a large file', { file: 'uri' }, 'the file uri is larger than 64 KiB', { uri: 'x'.repeat(65_537) }],
    ['no credential', { credential: 'uri' }, 'the file uri cannot be read: ENOENT'],
    [
      'no systemd',
      { credential: 'uri' },
      'the credential uri cannot be found: $CREDENTIALS_DIRECTORY is not set, which systemd does for a service with LoadCredential=',
      {},
      { CREDENTIALS_DIRECTORY: '' },
    ],
    [
      'another kind of secret',
      { env: 'URI' },
      'the secret is not a URI of PostgreSQL',
      {},
      { URI: 'hunter2' },
    ],
    [
      'more than a line',
      { file: 'uri' },
      'the secret holds a line break or control character',
      { uri: `${DATABASE_URI}\n\n` },
    ],
  ])('%s', async (_, url, message, files = {}, env = {}) => {
    expect(await fault(url, files, env)).toEqual([
      `jobs.app.sources[0].url: ${message} (received ${JSON.stringify(url)}; allowed: ${ALLOWED})`,
    ]);
  });
});

test('a .env that cannot be read is a warning, not an end', async () => {
  const directory = await makeDirectory();
  await mkdir(join(directory, '.env'));
  await writeConfig(directory, validConfig());
  const { warnings } = await loadConfig({ cwd: directory, env: { DATABASE_URI } });
  expect(warnings).toEqual([`${join(directory, '.env')} cannot be read and is ignored: EISDIR`]);
});

describe('a secret is in no message', () => {
  const uri = 'mysql://app:s3cret@db/app';

  test.each<[string, unknown]>([
    ['as a url of another scheme', configWithUrl(uri)],
    ['as the name of a variable', configWithUrl({ env: uri })],
    ['as the name of a file', configWithUrl({ file: 'postgres://app:s3cret@db/app' })],
    ['as the name of a credential', configWithUrl({ credential: uri })],
    ['under a key that does not exist', configWithUrl({ password: 's3cret' })],
    ['beside the url', { ...configWithUrl('postgres://h/d'), password: 's3cret' }],
    ['in place of a job', { ...configWithUrl(''), jobs: { app: uri } }],
    ['in place of a schedule', { ...configWithUrl(''), jobs: { app: { schedule: `@${uri}` } } }],
    ['as a key', { [uri]: 1 }],
    ['as the name of a job', { ...configWithUrl(''), jobs: { [uri]: {} } }],
    ['in a hook', { ...configWithUrl(''), jobs: { app: { hooks: { before: 'curl -u app:s3cret x' } } } }],
  ])('%s', async (_, config) => {
    const directory = await makeDirectory();
    await writeConfig(directory, config);
    const lines = await linesOf(loadConfig({ cwd: directory, env: {} }), directory);
    expect(lines.join('\n')).not.toContain('s3cret');
  });
});

test('the server of drills is a secret like that of a source', async () => {
  const found = await loadScratch({ env: 'SCRATCH_URI' }, { SCRATCH_URI: DATABASE_URI });
  const { config } = await found.loading;
  expect(config.scratch).toEqual({ url: DATABASE_URI });
  const missing = await loadScratch({ env: 'SCRATCH_URI' }, {});
  expect(await linesOf(missing.loading, missing.directory)).toEqual([
    expect.stringMatching(/^scratch\.url: the environment variable SCRATCH_URI is not set/),
  ]);
});
