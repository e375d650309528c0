import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { DATABASE_URI, faultLines, loadFrom, makeDirectory, validConfig, writeConfig } from './config-dir.ts';

const env = {
  DATABASE_URI,
  SMTP: 'the password of the mail',
  HOOK: 'https://hooks.example.org/services/T0/s3cr3t',
  SIGN: 'what it is signed with',
  TOKEN: 'tk_s3cr3t',
};
const smtp = { host: 'mail.example.org', user: 'cofre', password: { env: 'SMTP' } };
const email = { type: 'email', smtp, from: 'cofre@example.org', to: ['ops@example.org'] };
const hook = { type: 'webhook', url: { env: 'HOOK' } };
const check = { type: 'healthchecks', url: { env: 'HOOK' } };

function configWith(...notify: unknown[]): object {
  return { ...validConfig(), notify };
}

async function notifiersOf(...notify: unknown[]) {
  const { config, warnings } = await loadFrom(configWith(...notify), env);
  return { notifiers: config.notify, warnings };
}

describe('notifiers', () => {
  test('are none unless configured', async () => {
    expect((await loadFrom(validConfig())).config.notify).toEqual([]);
  });

  test('have what people and checks want to know where nothing is said', async () => {
    const { notifiers, warnings } = await notifiersOf(email, hook, check);
    const people = ['failure', 'incomplete', 'anomaly', 'recovered'];
    expect(warnings).toEqual([]);
    expect(notifiers).toEqual([
      {
        type: 'email',
        name: 'email',
        on: people,
        repeat_ms: 72_000_000,
        host: 'mail.example.org',
        port: 587,
        tls: 'starttls',
        user: 'cofre',
        password: env.SMTP,
        from: 'cofre@example.org',
        to: ['ops@example.org'],
      },
      { type: 'webhook', name: 'webhook', on: people, repeat_ms: 72_000_000, url: env.HOOK, format: 'json' },
      {
        type: 'healthchecks',
        name: 'healthchecks',
        on: ['failure', 'incomplete', 'success'],
        repeat_ms: 0,
        url: env.HOOK,
      },
    ]);
  });

  test('take what is said', async () => {
    const said = { on: ['success', 'drill'], jobs: ['app'], repeat: '90m' };
    const { notifiers } = await notifiersOf({
      ...hook,
      ...said,
      name: 'ops',
      format: 'ntfy',
      secret: { env: 'SIGN' },
      token: { env: 'TOKEN' },
    });
    expect(notifiers).toEqual([
      {
        type: 'webhook',
        name: 'ops',
        on: ['success', 'drill'],
        jobs: ['app'],
        repeat_ms: 5_400_000,
        url: env.HOOK,
        format: 'ntfy',
        secret: env.SIGN,
        token: env.TOKEN,
      },
    ]);
  });

  test('without a name are numbered from the second on, so that one more renames none', async () => {
    const { notifiers } = await notifiersOf(hook, email, { ...hook, name: 'ops' }, hook, hook);
    expect(notifiers.map(({ name }) => name)).toEqual(['webhook', 'email', 'ops', 'webhook-2', 'webhook-3']);
  });

  test('must have names that differ', async () => {
    expect(await faultLines(configWith(hook, { ...email, name: 'webhook' }), env)).toEqual([
      'notify[1].name: already the name of notify[0] (received "webhook"; allowed: a name that no other notifier has)',
    ]);
  });

  test('may be for jobs that there are', async () => {
    expect(await faultLines(configWith({ ...check, jobs: ['app', 'ap'] }), env)).toEqual([
      'notify[0].jobs[1]: there is no job of this name (received "ap"; allowed: app)',
    ]);
  });
});

describe('the mail server', () => {
  test.each([
    [{}, { port: 587, tls: 'starttls' }],
    [{ port: 465 }, { port: 465, tls: 'implicit' }],
    [{ port: 25 }, { port: 25, tls: 'starttls' }],
    [{ tls: 'implicit' }, { port: 465, tls: 'implicit' }],
    [
      { port: 2465, tls: 'implicit' },
      { port: 2465, tls: 'implicit' },
    ],
    [
      { port: 465, tls: 'starttls' },
      { port: 465, tls: 'starttls' },
    ],
  ])('of %j is spoken to as %j', async (given, spoken) => {
    const { notifiers } = await notifiersOf({ ...email, smtp: { ...smtp, ...given } });
    expect(notifiers[0]).toMatchObject(spoken);
  });

  test('may be one without TLS and password', async () => {
    const { notifiers } = await notifiersOf({ ...email, smtp: { host: '::1', tls: 'none' } });
    expect(notifiers[0]).toMatchObject({ host: '::1', port: 25, tls: 'none' });
    expect(notifiers[0]).not.toHaveProperty('password');
  });

  test('has its certificates beside the configuration', async () => {
    const directory = await makeDirectory();
    await writeConfig(directory, configWith({ ...email, smtp: { ...smtp, ca: 'ca.pem' } }));
    const { config } = await loadConfig({ env, cwd: directory });
    expect(config.notify[0]).toMatchObject({ ca: join(directory, 'ca.pem') });
  });

  test('gets no password in clear text, and no password without a user', async () => {
    const { password } = smtp;
    const lines = await faultLines(
      configWith(
        { ...email, smtp: { ...smtp, tls: 'none' } },
        { ...email, smtp: { host: 'h', password } },
        { ...email, smtp: { host: 'h', user: 'u' } },
        { ...email, smtp: { host: 'h', tls: 'none', ca: 'x.pem' } },
      ),
      env,
    );
    expect(lines).toEqual([
      'notify[0].smtp.tls: the password would be sent in clear text (received "none"; allowed: "starttls", "implicit"; or no `user` and `password`)',
      'notify[1].smtp.password: there is no `user` whose it is (received <hidden>; allowed: `user` beside it, or nothing)',
      'notify[2].smtp.password: missing beside `user` (received nothing; allowed: a reference to a secret)',
      'notify[3].smtp.ca: without TLS there is no certificate to check (received "x.pem"; allowed: nothing beside `"tls": "none"`)',
    ]);
  });
});

describe('secrets', () => {
  test('in plain text are accepted with a warning that does not show them', async () => {
    const plain = { ...hook, url: env.HOOK, secret: env.SIGN, token: env.TOKEN };
    const { notifiers, warnings } = await notifiersOf(
      plain,
      { ...check, url: env.HOOK },
      { ...email, smtp: { ...smtp, password: env.SMTP } },
    );
    expect(notifiers).toMatchObject([
      { url: env.HOOK, secret: env.SIGN, token: env.TOKEN },
      { url: env.HOOK },
      { password: env.SMTP },
    ]);
    expect(warnings.map((line) => line.split(':')[0])).toEqual([
      'notify[0].url',
      'notify[0].secret',
      'notify[0].token',
      'notify[1].url',
      'notify[2].smtp.password',
    ]);
    for (const secret of Object.values(env)) expect(warnings.join()).not.toContain(secret);
  });

  test('are read from files', async () => {
    const directory = await makeDirectory();
    await writeFile(join(directory, 'hook'), `${env.HOOK}\n`, { mode: 0o600 });
    await writeConfig(directory, configWith({ ...hook, url: { file: 'hook' } }));
    const { config, warnings } = await loadConfig({ env, cwd: directory });
    expect(config.notify[0]).toMatchObject({ url: env.HOOK });
    expect(warnings).toEqual([]);
  });

  test.each([
    [
      'that is not set',
      { ...hook, url: { env: 'UNSET' } },
      'notify[0].url: the environment variable UNSET is not set',
    ],
    [
      'that is no address',
      { ...hook, url: { env: 'DATABASE_URI' } },
      'notify[0].url: the secret is not an address of HTTP',
    ],
    [
      'that is no address at all',
      { ...check, url: { env: 'BAD_URL' } },
      'notify[0].url: the secret is not an address of HTTP',
    ],
    [
      'of two lines',
      { ...hook, secret: { env: 'LINES' } },
      'notify[0].secret: the secret is too long, or holds a line break',
    ],
    [
      'with a space in a header',
      { ...hook, token: { env: 'SIGN' } },
      'notify[0].token: the secret is too long, or holds',
    ],
    ['in the wrong place', { ...hook, secret: { file: 'https://s3cr3t' } }, 'notify[0].secret'],
    ['in plain text that is no address', { ...hook, url: 's3cr3t' }, 'notify[0].url: not a valid value'],
  ])('a secret %s is refused, and not shown', async (_, notifier, reason) => {
    const more = { LINES: 's3cr3t\ns3cr3t', BAD_URL: 'https://s3cr3t:x/' };
    const lines = await faultLines(configWith(notifier), { ...env, ...more });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(reason);
    expect(lines.join()).not.toContain('s3cr3t');
  });
});

describe('what is refused', () => {
  test.each<[string, object, string]>([
    [
      'another type',
      { type: 'sms' },
      'notify[0].type: not a valid value (received "sms"; allowed: "email", "webhook", "healthchecks")',
    ],
    ['a key of another type', { ...hook, smtp }, 'notify[0].smtp: this key does not go with this `type`'],
    ['a key that is none', { ...hook, colour: 'red' }, 'notify[0].colour: unknown key'],
    [
      'an interval of pings',
      { ...check, repeat: '1h' },
      'notify[0].repeat: this key does not go with this `type`',
    ],
    ['another event', { ...hook, on: ['sucess'] }, 'notify[0].on[0]: not a valid value'],
    ['no event', { ...hook, on: [] }, 'notify[0].on: empty'],
    ['an address that is none', { ...email, to: ['ops'] }, 'notify[0].to[0]: not a valid value'],
    ['an address of two lines', { ...email, from: 'a@b.c\nBcc: d@e.f' }, 'notify[0].from: not a valid value'],
    ['two addresses in one', { ...email, to: ['a@b.c, d@e.f'] }, 'notify[0].to[0]: not a valid value'],
    ['nobody to write to', { ...email, to: [] }, 'notify[0].to: empty'],
    [
      'an address for a host',
      { ...email, smtp: { host: 'smtp://mail' } },
      'notify[0].smtp.host: not a valid value',
    ],
    ['another format', { ...hook, format: 'xml' }, 'notify[0].format: not a valid value'],
  ])('%s', async (_, notifier, line) => {
    const lines = await faultLines(configWith(notifier), env);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(line);
  });
});
