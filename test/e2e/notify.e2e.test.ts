import { createHmac } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { JournalEntry } from '../../src/domain/journal-entry.ts';
import { deadUrl, HttpReceiver, type Received } from '../support/http-receiver.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Json, NEVER, Workspace } from '../support/workspace.ts';

const SECRET = 'correct horse battery staple';

function webhook(url: string, more: Json = {}): Json {
  return { type: 'webhook', url, ...more };
}

/** A workspace with one job of files that fails as long as the tree is hidden. */
function workspaceWith(notify: Json[]): Workspace {
  const workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() }, notify });
  return workspace;
}

function appendJournal({ location }: Workspace, entry: JournalEntry): void {
  appendFileSync(join(location, 'journal.jsonl'), `${JSON.stringify(entry)}\n`);
}

function hideTree({ tree }: Workspace): void {
  renameSync(tree, `${tree}.hidden`);
}

function showTree({ tree }: Workspace): void {
  renameSync(`${tree}.hidden`, tree);
}

interface Message {
  event: string;
  events: string[];
  job: string;
  run: string;
  outcome?: string;
  subject: string;
  text: string;
  errors: { code: string }[];
  archives: { filename: string; size: number }[];
}

function messages(received: readonly Received[]): Message[] {
  return received.map(({ body }) => JSON.parse(body) as Message);
}

test('a command tells of its failure and of the recovery, each once, where no daemon runs', async () => {
  const receiver = await HttpReceiver.start();
  using workspace = workspaceWith([webhook(receiver.url(), { secret: SECRET })]);
  hideTree(workspace);
  expect((await workspace.run(['backup'])).status).toBe(1);
  expect((await workspace.run(['backup'])).status).toBe(1);
  showTree(workspace);
  expect((await workspace.run(['backup'])).status).toBe(0);
  expect((await workspace.run(['backup'])).status).toBe(0);
  expect(messages(receiver.received)).toMatchObject([
    { event: 'failure', job: 'app', outcome: 'failed', errors: [{ code: 'SOURCE_MISSING' }] },
    {
      event: 'recovered',
      job: 'app',
      outcome: 'succeeded',
      archives: [{ filename: expect.any(String) as string }],
    },
  ]);
  for (const { headers, body } of receiver.received) {
    const [, time = '', digest] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['x-cofre-signature'])) ?? [];
    expect(createHmac('sha256', SECRET).update(`${time}.${body}`).digest('hex')).toBe(digest);
  }
});

test('a daemon tells what it finds: a run that died, and what a command did beside it, once', async () => {
  const receiver = await HttpReceiver.start();
  using workspace = workspaceWith([webhook(receiver.url(), { on: ['failure', 'recovered', 'success'] })]);
  {
    // The bookmark of the notifier is made.
    await using daemon = await workspace.startDaemon();
    await waitFor('the bookmark', () => existsSync(join(workspace.location, 'notifications.json')));
    await daemon.stop();
  }
  appendJournal(workspace, {
    event: 'started',
    at: new Date().toISOString(),
    run: '20260101_000000-abcdef',
    job: 'app',
    trigger: 'schedule',
    actor: 'daemon',
    sources: ['tree'],
  });
  await using daemon = await workspace.startDaemon();
  expect(messages(await receiver.atLeast(1))).toMatchObject([
    { event: 'failure', run: '20260101_000000-abcdef', errors: [{ code: 'INTERRUPTED' }] },
  ]);
  await workspace.run(['backup']);
  await receiver.atLeast(2);
  expect(messages(receiver.received)[1]).toMatchObject({
    event: 'recovered',
    events: ['recovered', 'success'],
  });
  expect(await daemon.metric('cofre_notifications_total{notifier="webhook",result="sent"}')).toBe(2);
  expect(await daemon.metric('cofre_notifications_total{notifier="webhook",result="failed"}')).toBe(0);
  await daemon.stop();
  await using again = await workspace.startDaemon();
  await workspace.run(['backup']);
  await receiver.atLeast(3);
  expect(messages(receiver.received)[2]).toMatchObject({ event: 'success', events: ['success'] });
  await again.stop();
  expect(receiver.received).toHaveLength(3);
});

test('a receiver that hangs or is gone neither fails a backup nor keeps the daemon from stopping, and is told later', async () => {
  const hanging = await HttpReceiver.start(() => 'hang');
  using workspace = workspaceWith([
    webhook(hanging.url('/hanging-secret'), { name: 'hanging', on: ['success'] }),
    webhook(`${await deadUrl()}dead-secret`, { name: 'dead', on: ['success'] }),
  ]);
  {
    await using daemon = await workspace.startDaemon();
    expect((await workspace.run(['backup'])).status).toBe(0);
    await hanging.atLeast(1);
    await daemon.waitForLog(
      'a retry',
      ({ step, notifier, attempt }) => step === 'notify' && notifier === 'dead' && attempt === 1,
    );
    expect((await workspace.run(['backup'])).status).toBe(0);
    expect(await daemon.stop()).toEqual({ status: 0, signal: null });
    const postponed = daemon.log().filter(({ msg }) => msg.includes('is told later'));
    expect(postponed.map(({ notifier }) => String(notifier)).toSorted()).toEqual(['dead', 'hanging']);
    expect(daemon.stderr).not.toMatch(/hanging-secret|dead-secret/);
  }
  const receiver = await HttpReceiver.start();
  workspace.configure({
    jobs: { app: workspace.filesJob() },
    notify: [webhook(receiver.url(), { name: 'dead', on: ['success'] })],
  });
  await using daemon = await workspace.startDaemon();
  expect(messages(await receiver.atLeast(2))).toMatchObject([{ event: 'success' }, { event: 'success' }]);
  await daemon.stop();
  expect(receiver.received).toHaveLength(2);
});

test('a reload takes notifiers over, and they are told what comes after it', async () => {
  const receiver = await HttpReceiver.start();
  using workspace = workspaceWith([]);
  await using daemon = await workspace.startDaemon();
  expect((await workspace.run(['backup'])).status).toBe(0);
  expect(await daemon.metric('cofre_notifications_total{notifier="later",result="sent"}')).toBeUndefined();
  const notify = [webhook(receiver.url(), { name: 'later', on: ['success'] })];
  workspace.configure({ jobs: { app: workspace.filesJob() }, notify });
  daemon.signal('SIGHUP');
  await waitFor(
    'the counter to begin',
    async () => (await daemon.metric('cofre_notifications_total{notifier="later",result="sent"}')) === 0,
  );
  const before = workspace.ended('app');
  expect((await workspace.run(['backup'])).status).toBe(0);
  const [told] = messages(await receiver.atLeast(1));
  expect(before.map(({ run }) => run)).not.toContain(told?.run);
  await daemon.stop();
  expect(receiver.received).toHaveLength(1);
});

test('a job that is overdue is told as a failure', async () => {
  const receiver = await HttpReceiver.start();
  using workspace = new Workspace();
  // Nothing runs: it is what the journal says of a job whose due times pass.
  mkdirSync(workspace.location, { recursive: true, mode: 0o700 });
  const seen = new Date(Date.now() - 3 * 3_600_000).toISOString();
  appendJournal(workspace, {
    event: 'scheduled',
    at: seen,
    job: 'app',
    schedule: '0 * * * *',
    timezone: 'UTC',
  });
  workspace.configure({
    jobs: { app: workspace.filesJob('0 * * * *', 'tree', { catchUp: false, grace: '1m' }) },
    notify: [webhook(receiver.url())],
  });
  await using daemon = await workspace.startDaemon();
  const [told] = messages(await receiver.atLeast(1));
  expect(told).toMatchObject({ event: 'failure', job: 'app', errors: [{ code: 'OVERDUE' }] });
  expect(told?.subject).toMatch(/^\[cofre \S+\] OVERDUE app$/);
  await daemon.stop();
  expect(receiver.received).toHaveLength(1);
});

test('notify test sends one message to each, and fails when one is not taken', async () => {
  const receiver = await HttpReceiver.start();
  using workspace = workspaceWith([
    webhook(receiver.url('/hook')),
    { type: 'healthchecks', url: receiver.url('/ping?create=1') },
    webhook(`${await deadUrl()}a-secret-path`, { name: 'dead' }),
  ]);
  const all = await workspace.run(['notify', 'test']);
  expect(all.status).toBe(1);
  expect(all.json()).toEqual({
    results: [
      { notifier: 'webhook', ok: true, detail: expect.stringContaining('(json)') as string },
      { notifier: 'healthchecks', ok: true, detail: expect.any(String) as string },
      { notifier: 'dead', ok: false, detail: expect.stringContaining('ECONNREFUSED') as string },
    ],
  });
  expect(`${all.stdout}${all.stderr}`).not.toContain('a-secret-path');
  expect(receiver.received.map(({ path }) => path).toSorted()).toEqual(['/hook', '/ping/log?create=1']);
  const named = await workspace.run(['notify', 'test', 'webhook'], { text: true });
  expect(named.status).toBe(0);
  expect(named.stdout).toMatch(/^ok {6}webhook {2}sent: /);
  expect((await workspace.run(['notify', 'test', 'nobody'])).status).toBe(2);
  expect(existsSync(workspace.location)).toBe(false);
});

test('what is told is not in the log of a command, nor in the state: no secret, no address', async () => {
  const receiver = await HttpReceiver.start((nth) => (nth === 1 ? 404 : 200));
  using workspace = workspaceWith([
    webhook(receiver.url('/path-that-is-secret'), {
      secret: SECRET,
      token: 'bearer-that-is-secret',
      on: ['success'],
    }),
  ]);
  const finished = await workspace.run(['backup']);
  expect(finished.status).toBe(0);
  expect(finished.stderr).toContain('webhook was not told');
  const state = readFileSync(join(workspace.location, 'notifications.json'), 'utf8');
  expect(`${finished.stderr}${finished.stdout}${state}`).not.toMatch(/that-is-secret|battery staple/);
  expect(receiver.received[0]?.headers.authorization).toBe('Bearer bearer-that-is-secret');
});

test('a schedule that never is due is told of nothing', async () => {
  const receiver = await HttpReceiver.start();
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob(NEVER) }, notify: [webhook(receiver.url())] });
  await using daemon = await workspace.startDaemon();
  expect(await daemon.stop()).toEqual({ status: 0, signal: null });
  expect(receiver.received).toEqual([]);
});
