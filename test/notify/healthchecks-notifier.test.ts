import { expect, test } from 'vitest';
import type { Notice } from '../../src/domain/notice.ts';
import { HealthchecksNotifier, pingUrl } from '../../src/notify/healthchecks-notifier.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { HttpReceiver } from '../support/http-receiver.ts';
import { testNotice } from '../support/notices.ts';

const CHECK = 'https://hc.example.org/ping/5d2c8c4e-0f6e-4d4c-9a53-0c3f0f6d1f4e';

function pathOf(facts: Partial<Notice>, url = CHECK): string {
  const { run: _, ...notice } = testNotice();
  return pingUrl(url, { ...notice, ...facts }).replace(CHECK, '');
}

test.each<[Partial<Notice>, string]>([
  [{ kind: 'start', topics: [] }, '/start'],
  [{ kind: 'success', topics: ['success'] }, ''],
  [{ kind: 'recovered', topics: ['recovered', 'success'] }, ''],
  [{ kind: 'failure', topics: ['failure'] }, '/fail'],
  [{ kind: 'failure', topics: ['failure', 'drill'] }, '/fail'],
  [{ kind: 'incomplete', topics: ['incomplete'] }, '/fail'],
  [{ kind: 'anomaly', topics: ['anomaly'] }, '/log'],
  [{ kind: 'anomaly', topics: ['anomaly', 'success'] }, ''],
  [{ kind: 'drill', topics: ['drill'] }, '/log'],
  [{ kind: 'prune', topics: ['prune'] }, '/log'],
  [{ kind: 'test', topics: [] }, '/log'],
])('%j pings %j', (facts, path) => {
  expect(pathOf(facts)).toBe(path);
});

test('start and end of a run have one id, which is a UUID, and another run another', () => {
  const idOf = (facts: Partial<Notice>) => new URL(pingUrl(CHECK, testNotice(facts))).searchParams.get('rid');
  const id = idOf({ kind: 'start', topics: [] });
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(idOf({})).toBe(id);
  expect(idOf({ run: 'another' })).not.toBe(id);
});

test('a slash at the end and what stands behind a question mark are in nobody’s way', () => {
  expect(pingUrl(`${CHECK}/`, testNotice({ kind: 'start', topics: [] }))).toContain('4e/start?rid=');
  expect(pathOf({}, `${CHECK}?create=1`)).toBe('/fail?create=1');
});

test('a ping has the message as its log', async () => {
  const receiver = await HttpReceiver.start();
  await new HealthchecksNotifier({ name: 'check', url: receiver.url('/ping') }).notify(
    testNotice(),
    NO_ABORT,
  );
  expect(receiver.received).toMatchObject([
    {
      method: 'POST',
      body: expect.stringContaining(
        'FAILED app: SERVER_UNREACHABLE\n\nThe backup app on db1 FAILED.',
      ) as string,
    },
  ]);
});
