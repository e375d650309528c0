import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { DATABASE_URI, faultLines, loadFrom, makeDirectory, validConfig, writeConfig } from './config-dir.ts';

const ADMIN = 'a-token-of-the-administrator';
const env = { DATABASE_URI, ADMIN, VIEWER: 'a-token-of-those-who-look', SHORT: 'a-token-of-19-chars' };
const admin = { name: 'admin', token: { env: 'ADMIN' }, scopes: ['read', 'operate', 'delete', 'restore'] };
const viewer = { name: 'viewer', token: { env: 'VIEWER' }, scopes: ['read'] };

function configWith(http: object): object {
  return { ...validConfig(), http };
}

describe('tokens', () => {
  test('are resolved, with their names and scopes', async () => {
    const { config, warnings } = await loadFrom(configWith({ tokens: [admin, viewer] }), env);
    expect(config.http.tokens).toEqual([
      { ...admin, token: ADMIN },
      { ...viewer, token: env.VIEWER },
    ]);
    expect(warnings).toEqual([]);
  });

  test('in plain text are accepted with a warning that does not show them', async () => {
    const { config, warnings } = await loadFrom(configWith({ tokens: [{ ...admin, token: ADMIN }] }), env);
    expect(config.http.tokens[0]?.token).toBe(ADMIN);
    expect(warnings).toEqual([expect.stringContaining('http.tokens[0].token: a token in plain text')]);
    expect(warnings.join()).not.toContain(ADMIN);
  });

  test.each([
    ['that is short', { env: 'SHORT' }, 'the token has 19 characters, too few to be safe'],
    ['that is empty', { env: 'EMPTY' }, 'the environment variable EMPTY is empty'],
    ['that is not set', { env: 'UNSET' }, 'the environment variable UNSET is not set'],
    ['with a space', { env: 'SPACED' }, 'holds a space'],
    ['with a line break inside', { env: 'BROKEN' }, 'holds a space, a line break'],
  ])('a token %s is refused, and not shown', async (_, token, reason) => {
    const more = { EMPTY: '', SPACED: 'a token with spaces in it', BROKEN: 'a-token-with-a\nline-break' };
    const lines = await faultLines(configWith({ tokens: [{ ...admin, token }] }), { ...env, ...more });
    expect(lines).toEqual([expect.stringContaining(`http.tokens[0].token: `)]);
    expect(lines[0]).toContain(reason);
    for (const secret of [env.SHORT, more.SPACED, 'line-break']) expect(lines.join()).not.toContain(secret);
  });

  test('in plain text that is short is refused, and not shown', async () => {
    const lines = await faultLines(configWith({ tokens: [{ ...admin, token: 'hunter2' }] }), env);
    expect(lines).toEqual([expect.stringContaining('http.tokens[0].token: not a valid value')]);
    expect(lines.join()).not.toContain('hunter2');
  });

  test('an empty file is no token', async () => {
    const directory = await makeDirectory();
    await writeFile(join(directory, 'token'), '\n', { mode: 0o600 });
    await writeConfig(directory, configWith({ tokens: [{ ...admin, token: { file: 'token' } }] }));
    await expect(loadConfig({ env, cwd: directory })).rejects.toThrow('is empty');
  });

  test('names and tokens must differ, so that an actor is one holder', async () => {
    const again = { ...viewer, name: 'admin' };
    expect(await faultLines(configWith({ tokens: [admin, again] }), env)).toEqual([
      'http.tokens[1].name: already the name of http.tokens[0] (received "admin"; allowed: a name that no other token has)',
    ]);
    const same = { ...viewer, token: { env: 'ADMIN' } };
    const lines = await faultLines(configWith({ tokens: [admin, same] }), env);
    expect(lines).toEqual([
      expect.stringContaining('http.tokens[1].token: the same token as http.tokens[0].token'),
    ]);
    expect(lines.join()).not.toContain(ADMIN);
  });

  test.each([[[]], [['write']], [['read', 'all']], [undefined]])(
    'of other scopes are refused: %j',
    async (scopes) => {
      const lines = await faultLines(configWith({ tokens: [{ ...admin, scopes }] }), env);
      expect(lines.join()).toContain('http.tokens[0].scopes');
    },
  );
});

describe('metrics', () => {
  test('need a token only where one can read them', async () => {
    expect(await faultLines(configWith({ metrics: 'token' }))).toEqual([
      expect.stringContaining('http.metrics: no token could read the metrics'),
    ]);
    const { config } = await loadFrom(configWith({ metrics: 'token', tokens: [viewer] }), env);
    expect(config.http.metrics).toBe('token');
  });
});

describe('where it is listened', () => {
  test('a socket and certificates are relative to the file', async () => {
    const directory = await makeDirectory();
    const http = { socket: 'run/http.sock', socketMode: '0600', tls: { cert: 'c.pem', key: '/k.pem' } };
    await writeConfig(directory, configWith(http));
    const { config } = await loadConfig({ env, cwd: directory });
    expect(config.http).toMatchObject({
      socket: join(directory, 'run/http.sock'),
      socketMode: 0o600,
      tls: { cert: join(directory, 'c.pem'), key: '/k.pem' },
    });
  });

  test('an address beside a socket is refused', async () => {
    expect(await faultLines(configWith({ socket: 's', host: 'localhost', port: 1 }))).toEqual([
      expect.stringContaining('http.host: with `socket` no address is listened on'),
      expect.stringContaining('http.port: with `socket` no address is listened on'),
    ]);
  });

  test.each(['10.0.0.0/8', '::1', 'fd00::/8', 'unix', '127.0.0.1'])('a proxy may be %s', async (proxy) => {
    expect((await loadFrom(configWith({ trustedProxies: [proxy] }))).config.http.trustedProxies).toEqual([
      proxy,
    ]);
  });

  test.each(['10.0.0.0/33', 'proxy.example', '', '10.0.0.0/8/8'])('and not %j', async (proxy) => {
    expect((await faultLines(configWith({ trustedProxies: [proxy] }))).join()).toContain(
      'http.trustedProxies[0]',
    );
  });
});

describe('tokens over the network', () => {
  const tokens = [{ name: 'admin', token: { env: 'ADMIN' }, scopes: ['read'] }];

  test.each([
    ['0.0.0.0', {}, 1],
    ['backup.example', {}, 1],
    ['0.0.0.0', { tls: { cert: 'c', key: 'k' } }, 0],
    ['127.0.0.1', {}, 0],
    ['::1', {}, 0],
    ['localhost', {}, 0],
  ])('on %s with %j warn %d times', async (host, more, count) => {
    const { warnings } = await loadFrom(configWith({ host, tokens, ...more }), env);
    expect(warnings.filter((warning) => warning.includes('in clear text on'))).toHaveLength(count);
  });

  test('without any there is nothing to warn of', async () => {
    expect((await loadFrom(configWith({ host: '0.0.0.0' }))).warnings).toEqual([]);
  });
});

describe('targets of restores', () => {
  test('are servers and directories by name', async () => {
    const directory = await makeDirectory();
    const restoreTargets = [
      { name: 'staging', url: { env: 'DATABASE_URI' } },
      { name: 'files', directory: 'restored' },
    ];
    await writeConfig(directory, configWith({ restoreTargets }));
    const { config } = await loadConfig({ env, cwd: directory });
    expect(config.http.restoreTargets).toEqual([
      { name: 'staging', url: DATABASE_URI },
      { name: 'files', directory: join(directory, 'restored') },
    ]);
  });

  test.each([
    ['neither', { name: 'x' }],
    ['both', { name: 'x', url: DATABASE_URI, directory: '/x' }],
  ])('with %s of the two are refused', async (_, target) => {
    const lines = await faultLines(configWith({ restoreTargets: [target] }));
    expect(lines.join()).toContain('http.restoreTargets[0]');
    expect(lines.join()).not.toContain('s3cret');
  });

  test('have names that differ', async () => {
    const target = { name: 'x', directory: '/x' };
    expect(await faultLines(configWith({ restoreTargets: [target, target] }))).toEqual([
      expect.stringContaining('http.restoreTargets[1].name: already the name of http.restoreTargets[0]'),
    ]);
  });
});
