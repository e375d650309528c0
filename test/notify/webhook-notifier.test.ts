import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { attemptOnce } from '../../src/notify/deliver.ts';
import { DeliveryError } from '../../src/notify/delivery-error.ts';
import { signatureOf, WebhookNotifier, type WebhookOptions } from '../../src/notify/webhook-notifier.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { type Answering, deadUrl, HttpReceiver } from '../support/http-receiver.ts';
import { silentServer } from '../support/mail-server.ts';
import { codeBlocks, readPage, section } from '../support/markdown.ts';
import { testNotice } from '../support/notices.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

const SECRET = 'correct horse battery staple';

function notifierFor(url: string, facts: Partial<WebhookOptions> = {}): WebhookNotifier {
  return new WebhookNotifier({ name: 'webhook', url, format: 'json', ...facts });
}

async function sent(facts: Partial<WebhookOptions> = {}, notice = testNotice()) {
  const receiver = await HttpReceiver.start();
  await notifierFor(receiver.url('/hook?key=1'), facts).notify(notice, NO_ABORT);
  const [received] = receiver.received;
  if (received === undefined) throw new Error('nothing was received');
  return received;
}

async function faultOf(answer: Answering): Promise<DeliveryError> {
  const receiver = await HttpReceiver.start(answer);
  const notifier = notifierFor(receiver.url('/secret-path'));
  const fault = await notifier.notify(testNotice(), NO_ABORT).catch((error: unknown) => error);
  if (fault instanceof DeliveryError) return fault;
  throw new Error(`expected a DeliveryError, got ${String(fault)}`);
}

describe('JSON', () => {
  test('has what docs/notifications.md says, and nothing else', async () => {
    const notice = testNotice({ due: '2026-11-24T02:00:00.000Z', failing_since: '2026-11-24T02:00:14.221Z' });
    const { method, path, headers, body } = await sent({}, notice);
    expect({ method, path, type: headers['content-type'] }).toEqual({
      method: 'POST',
      path: '/hook?key=1',
      type: 'application/json',
    });
    const document = JSON.parse(body) as Record<string, unknown>;
    expect(document).toMatchObject({ version: 1, event: 'failure', events: ['failure'], job: 'app' });
    const table = section(readPage('docs/notifications.md'), '## A program of your own');
    const rows = table.split('\n').flatMap((line) => /^\| (`[^|]*`) \|/.exec(line)?.[1] ?? []);
    const documented = rows.flatMap((cell) => cell.match(/\w+/g) ?? []);
    const known = Object.keys(document);
    expect(documented.toSorted((a, b) => a.localeCompare(b))).toEqual(
      known.toSorted((a, b) => a.localeCompare(b)),
    );
  });

  test('of an event has the same id at each attempt, and another event another', async () => {
    const ids = [];
    for (const notice of [
      testNotice(),
      testNotice(),
      testNotice({ kind: 'recovered' }),
      testNotice({ run: 'b' }),
    ]) {
      ids.push((await sent({}, notice)).headers['x-cofre-delivery']);
    }
    expect(ids[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(ids[1]).toBe(ids[0]);
    expect(new Set(ids).size).toBe(3);
  });
});

describe('the signature', () => {
  test('is checked by the example of docs/notifications.md', async () => {
    const { headers, body } = await sent({ secret: SECRET });
    const header = String(headers['x-cofre-signature']);
    const [example = ''] = codeBlocks(readPage('docs/notifications.md'), 'js');
    const file = join(await temporaryDirectory(), 'example.mjs');
    writeFileSync(file, example);
    const { isFromCofre } = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as {
      isFromCofre: (header: string, body: string, secret: string, now?: number) => boolean;
    };
    expect(isFromCofre(header, body, SECRET)).toBe(true);
    expect(isFromCofre(header, `${body} `, SECRET)).toBe(false);
    expect(isFromCofre(header, body, 'another secret')).toBe(false);
    expect(isFromCofre(header, body, SECRET, Date.now() + 600_000)).toBe(false);
    expect(isFromCofre('t=1,v1=zz', body, SECRET)).toBe(false);
    expect(isFromCofre('', body, SECRET)).toBe(false);
  });

  test('is over time and body, as `openssl dgst -sha256 -hmac key` computes it', () => {
    expect(signatureOf('{}', 'key', new Date('2026-11-24T02:00:00.500Z'))).toBe(
      't=1795485600,v1=438be9481a0f979da52cee401740ea236cbf063da8c90f73e9b1a17020e1ebb0',
    );
  });

  test('is not there without a secret', async () => {
    expect((await sent()).headers['x-cofre-signature']).toBeUndefined();
  });
});

describe('whom the receiver takes it for', () => {
  test('a token is sent as a bearer', async () => {
    expect((await sent({ token: 'tk_1' })).headers.authorization).toBe('Bearer tk_1');
  });

  test('a user in the address is sent as such', async () => {
    const receiver = await HttpReceiver.start();
    const url = receiver.url('/hook').replace('//', '//ops:p%40ss@');
    await notifierFor(url).notify(testNotice(), NO_ABORT);
    const pair = Buffer.from('ops:p@ss').toString('base64');
    expect(receiver.received).toMatchObject([{ path: '/hook', headers: { authorization: `Basic ${pair}` } }]);
  });

  test('a percent sign in the address that encodes nothing stands for itself', async () => {
    const receiver = await HttpReceiver.start();
    const url = receiver.url('/hook').replace('//', '//ops:100%@');
    await notifierFor(url).notify(testNotice(), NO_ABORT);
    const pair = Buffer.from('ops:100%').toString('base64');
    expect(receiver.received).toMatchObject([{ headers: { authorization: `Basic ${pair}` } }]);
  });
});

describe('other shapes', () => {
  test('a hook of Slack gets one text, in which nothing is markup', async () => {
    const errors = [{ code: 'TOOL_FAILED' as const, message: '<!channel> ``` & more' }];
    const { body, headers } = await sent({ format: 'slack' }, testNotice({ errors }));
    expect(headers['content-type']).toBe('application/json');
    const { text, ...rest } = JSON.parse(body) as { text: string };
    expect(rest).toEqual({});
    expect(text).toMatch(/^\*\[cofre db1\] FAILED app: TOOL_FAILED\*\n```\n/);
    expect(text).toContain("&lt;!channel&gt; ''' &amp; more");
    expect(text.match(/```/g)).toHaveLength(2);
  });

  test('a hook of Slack gets no more than what takes its shape allows, and no half of anything', async () => {
    const errors = Array.from({ length: 5 }, () => ({
      code: 'TOOL_FAILED' as const,
      message: '&'.repeat(900),
    }));
    const { body } = await sent({ format: 'slack' }, testNotice({ errors }));
    const { text } = JSON.parse(body) as { text: string };
    expect(text.length).toBeLessThanOrEqual(2_000);
    expect(text).toMatch(/(?:&amp;)+…\n```$/);
  });

  test('a topic of ntfy gets the text, with title, priority and tags', async () => {
    const { body, headers } = await sent({ format: 'ntfy' });
    expect(headers).toMatchObject({ title: '[cofre db1] FAILED app: SERVER_UNREACHABLE', priority: '5' });
    expect(body).toContain('The backup app on db1 FAILED.');
    const quiet = await sent(
      { format: 'ntfy' },
      testNotice({ kind: 'success', outcome: 'succeeded', errors: [] }),
    );
    expect(quiet.headers.priority).toBe('2');
  });

  test('what is no ASCII, or long, is something ntfy can take', async () => {
    const errors = Array.from({ length: 5 }, () => ({
      code: 'TOOL_FAILED' as const,
      message: 'ü'.repeat(900),
    }));
    const { body, headers } = await sent({ format: 'ntfy' }, testNotice({ host: 'höst', errors }));
    const [, encoded = ''] = /^=\?UTF-8\?B\?(.*)\?=$/.exec(String(headers.title)) ?? [];
    expect(Buffer.from(encoded, 'base64').toString()).toBe('[cofre höst] FAILED app: TOOL_FAILED');
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(4_000);
    expect(body).toMatch(/ü…$/);
  });
});

describe('an answer', () => {
  test.each([200, 202, 204])('of %i is taken', async (status) => {
    const receiver = await HttpReceiver.start(() => status);
    await notifierFor(receiver.url()).notify(testNotice(), NO_ABORT);
    expect(receiver.received).toHaveLength(1);
  });

  test.each([
    [400, true],
    [401, true],
    [404, true],
    [410, true],
    [408, false],
    [425, false],
    [429, false],
    [500, false],
    [503, false],
  ])('of %i is final: %s', async (status, isFinal) => {
    const fault = await faultOf(() => status);
    expect(fault).toMatchObject({
      code: 'NOTIFY_FAILED',
      isFinal,
      message: expect.stringMatching(`answered with status ${status}$`) as string,
    });
    expect(JSON.stringify(fault)).not.toContain('secret-path');
  });

  test.each([
    ['120', 120_000],
    [new Date(Date.now() + 120_000).toUTCString(), 120_000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['-5', 0],
    ['soon', 0],
  ])('that asks to come again after %s says so', async (value, wanted_ms) => {
    const { retryAfter_ms } = await faultOf(() => ({ status: 429, headers: { 'retry-after': value } }));
    expect(Math.abs(retryAfter_ms - wanted_ms)).toBeLessThan(5_000);
  });

  test('that leads elsewhere is not followed', async () => {
    const elsewhere = await HttpReceiver.start();
    const fault = await faultOf(() => ({ status: 307, headers: { location: elsewhere.url() } }));
    expect(fault).toMatchObject({ isFinal: true, hint: expect.stringContaining('redirects') as string });
    expect(elsewhere.received).toEqual([]);
  });

  test('that never comes is one of time, of a receiver that takes the request or does not', async () => {
    const receiver = await HttpReceiver.start(() => 'hang');
    for (const url of [receiver.url(), `http://127.0.0.1:${await silentServer()}/`]) {
      const fault = await attemptOnce(notifierFor(url), testNotice(), 200, NO_ABORT);
      expect(fault).toMatchObject({
        code: 'NOTIFY_FAILED',
        message: 'no answer within 200 ms',
        isFinal: false,
      });
    }
  });

  test('that cannot come names the host and why', async () => {
    const url = `${await deadUrl()}secret-path`;
    const fault = await attemptOnce(notifierFor(url), testNotice(), 5_000, NO_ABORT);
    expect(fault?.message).toMatch(/^127\.0\.0\.1:\d+ cannot be reached: ECONNREFUSED$/);
    expect(fault).toMatchObject({ isFinal: false });
  });

  test('that does not come because the work is stopped is no fault of the receiver', async () => {
    const receiver = await HttpReceiver.start(() => 'hang');
    const stop = new AbortController();
    const sending = notifierFor(receiver.url()).notify(testNotice(), stop.signal);
    await receiver.atLeast(1);
    stop.abort(new Error('stopped'));
    await expect(sending).rejects.toThrow('stopped');
  });
});
