import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HttpReceiver } from '../support/http-receiver.ts';
import { MailServer, PASSWORD, selfSigned, USER } from '../support/mail-server.ts';
import { type Json, Workspace } from '../support/workspace.ts';

const HOOK_ENV = 'TEST_HOOK';

function emailThrough(port: number, smtp: Json): Json {
  return {
    type: 'email',
    smtp: { host: 'localhost', port, user: USER, password: { env: 'SMTP_PASSWORD' }, ...smtp },
    from: 'cofre@example.org',
    to: ['ops@example.org'],
  };
}

test('a mail over STARTTLS, with a password from the environment, tells of a failure', async () => {
  const { cert, key, certFile } = await selfSigned();
  const server = await MailServer.start({ cert, key });
  using workspace = new Workspace({ SMTP_PASSWORD: PASSWORD });
  workspace.configure({
    jobs: { app: workspace.filesJob() },
    notify: [emailThrough(server.port, { ca: certFile })],
  });
  expect((await workspace.run(['notify', 'test'])).json()).toEqual({
    results: [
      {
        notifier: 'email',
        ok: true,
        detail: `sent: a mail to ops@example.org through localhost:${server.port} (starttls)`,
      },
    ],
  });
  renameSync(workspace.tree, `${workspace.tree}.hidden`);
  expect((await workspace.run(['backup'])).status).toBe(1);
  expect(server.mails).toMatchObject([
    { user: USER, secure: true, source: expect.stringMatching(/^Subject: \[cofre \S+\] TEST\r$/m) as string },
    {
      user: USER,
      secure: true,
      source: expect.stringMatching(/^Subject: \[cofre \S+\] FAILED app: SOURCE_MISSING\r$/m) as string,
    },
  ]);
});

test('a mail that nobody takes is in the log and the answer of a test, without the password', async () => {
  const { cert, key, certFile } = await selfSigned();
  const server = await MailServer.start({ cert, key });
  using workspace = new Workspace({ SMTP_PASSWORD: 'n0t the password' });
  workspace.configure({
    jobs: { app: workspace.filesJob() },
    notify: [{ ...emailThrough(server.port, { ca: certFile }), on: ['success'] }],
  });
  const tested = await workspace.run(['notify', 'test'], { text: true });
  expect(tested.status).toBe(1);
  expect(tested.stdout).toMatch(/^FAILED {2}email {2}.*refused the login with status 535/);
  const backup = await workspace.run(['backup']);
  expect(backup.status).toBe(0);
  expect(backup.stderr).toContain('email was not told: app success');
  expect(`${tested.stdout}${tested.stderr}${backup.stdout}${backup.stderr}`).not.toContain('n0t the');
});

test('a check is pinged at start and end of each run, with one id', async () => {
  const receiver = await HttpReceiver.start();
  using workspace = new Workspace({ [HOOK_ENV]: receiver.url('/ping/app') });
  workspace.configure({
    jobs: { app: workspace.filesJob(), other: workspace.filesJob(undefined, 'other') },
    notify: [{ type: 'healthchecks', url: { env: HOOK_ENV }, jobs: ['app'] }],
  });
  expect((await workspace.run(['backup'])).status).toBe(0);
  renameSync(workspace.tree, `${workspace.tree}.hidden`);
  expect((await workspace.run(['backup'])).status).toBe(1);
  expect((await workspace.run(['backup'])).status).toBe(1);
  const paths = receiver.received.map(({ path }) => path.split('?')[0]);
  expect(paths).toEqual(
    ['/start', '', '/start', '/fail', '/start', '/fail'].map((suffix) => `/ping/app${suffix}`),
  );
  const ids = receiver.received.map(({ path }) => path.split('rid=')[1]);
  expect(ids[0]).toBe(ids[1]);
  expect(new Set(ids).size).toBe(3);
});

test('several commands at once tell each of their runs once', async () => {
  const receiver = await HttpReceiver.start();
  using workspace = new Workspace();
  const jobs = ['a', 'b', 'c', 'd'];
  workspace.configure({
    jobs: Object.fromEntries(jobs.map((job) => [job, workspace.filesJob(undefined, job)])),
    notify: [{ type: 'webhook', url: receiver.url(), on: ['success'] }],
  });
  // The location is there, so that none makes it under the feet of another.
  await workspace.backup('a');
  await Promise.all(jobs.map((job) => workspace.backup(job)));
  const told = receiver.received.map(({ body }) => (JSON.parse(body) as { run: string }).run);
  const runs = jobs.flatMap((job) => workspace.ended(job)).map(({ run }) => run);
  expect(told.toSorted((a, b) => a.localeCompare(b))).toEqual(runs.toSorted((a, b) => a.localeCompare(b)));
});

test('a prune and a drill by command are told to who asks for them', async () => {
  const receiver = await HttpReceiver.start();
  using workspace = new Workspace();
  workspace.configure({
    jobs: { app: workspace.filesJob() },
    notify: [{ type: 'webhook', url: receiver.url(), on: ['prune', 'drill'] }],
    retention: { days: 0, keepLast: 1 },
  });
  await workspace.backup('app');
  const kept = await workspace.backup('app');
  expect((await workspace.run(['drill', kept.filename])).status).toBe(0);
  expect((await workspace.run(['prune', '--force'])).status).toBe(0);
  expect(receiver.received.map(({ body }) => JSON.parse(body) as unknown)).toMatchObject([
    { event: 'drill', job: '@drill', drills: [{ filename: kept.filename, verdict: 'proven' }] },
    { event: 'prune', job: '@prune', removed: [expect.any(String)] },
  ]);
});

test('check looks at what can be looked at without sending', async () => {
  using workspace = new Workspace({ SMTP_PASSWORD: PASSWORD });
  const broken = join(workspace.dir, 'broken.pem');
  writeFileSync(broken, 'no certificate');
  workspace.configure({
    jobs: { app: workspace.filesJob() },
    notify: [
      emailThrough(1, { ca: broken }),
      { ...emailThrough(1, { ca: join(workspace.dir, 'missing.pem') }), name: 'other' },
      { type: 'webhook', url: 'http://hooks.example.org/s3cret' },
      { type: 'healthchecks', url: 'http://127.0.0.1:1/s3cret' },
    ],
  });
  const checked = await workspace.run(['check']);
  expect(checked.status).toBe(1);
  const { findings } = checked.json<{ findings: { path: string; severity: string; message: string }[] }>();
  const found = findings.filter(({ path }) => path.startsWith('notify.'));
  expect(found.map(({ path, severity }) => `${path} ${severity}`)).toEqual([
    'notify.email info',
    'notify.email error',
    'notify.other info',
    'notify.other error',
    'notify.webhook info',
    'notify.webhook warning',
    'notify.healthchecks info',
  ]);
  expect(found[1]?.message).toContain('no certificate in PEM');
  expect(found[3]?.message).toContain('ENOENT');
  expect(checked.stdout).not.toContain('s3cret');
});
