import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DeliveryError } from '../../src/notify/delivery-error.ts';
import { attemptOnce } from '../../src/notify/deliver.ts';
import { type EmailOptions, EmailNotifier } from '../../src/notify/email-notifier.ts';
import { NO_ABORT } from '../support/fakes.ts';
import {
  deadPort,
  hesitantServer,
  MailServer,
  PASSWORD,
  selfSigned,
  silentServer,
  stripTls,
  USER,
} from '../support/mail-server.ts';
import { testNotice } from '../support/notices.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

function notifierAt(port: number, facts: Partial<EmailOptions> = {}): EmailNotifier {
  return new EmailNotifier({
    name: 'email',
    host: '127.0.0.1',
    port,
    tls: 'starttls',
    from: 'cofre <cofre@example.org>',
    to: ['ops@example.org', 'Night Shift <night@example.org>'],
    ...facts,
  });
}

const login = { user: USER, password: PASSWORD };

/** Why a mail was not taken. */
async function faultOf(notifier: EmailNotifier): Promise<DeliveryError> {
  const fault = await notifier.notify(testNotice(), NO_ABORT).catch((error: unknown) => error);
  if (fault instanceof DeliveryError) return fault;
  throw new Error(`expected a DeliveryError, got ${String(fault)}`);
}

describe('a mail', () => {
  test('goes over STARTTLS, with the login, to every recipient', async () => {
    const { cert, key, certFile } = await selfSigned();
    const server = await MailServer.start({ cert, key });
    await notifierAt(server.port, { ...login, ca: certFile }).notify(testNotice(), NO_ABORT);
    expect(server.mails).toMatchObject([
      { from: 'cofre@example.org', to: ['ops@example.org', 'night@example.org'], user: USER, secure: true },
    ]);
    const [headers = '', body = ''] = server.mails[0]?.source.split('\r\n\r\n', 2) ?? [];
    expect(headers).toContain('Subject: [cofre db1] FAILED app: SERVER_UNREACHABLE');
    expect(headers).toContain('From: cofre <cofre@example.org>');
    expect(headers).toContain('Auto-Submitted: auto-generated');
    expect(headers).toContain('Content-Type: text/plain; charset=utf-8');
    expect(body).toContain('The backup app on db1 FAILED.');
  });

  test('goes over TLS from the first byte', async () => {
    const { cert, key, certFile } = await selfSigned();
    const server = await MailServer.start({ cert, key, secure: true });
    await notifierAt(server.port, { ...login, tls: 'implicit', ca: certFile }).notify(testNotice(), NO_ABORT);
    expect(server.mails).toMatchObject([{ user: USER, secure: true }]);
  });

  test('goes in clear text and without a password where that is asked for', async () => {
    const server = await MailServer.start({ authOptional: true });
    await notifierAt(server.port, { tls: 'none' }).notify(testNotice(), NO_ABORT);
    expect(server.mails).toMatchObject([{ user: undefined, secure: false }]);
    expect(server.logins).toEqual([]);
  });

  test('has no header that a hostile name or message would add, and shows neither', async () => {
    const server = await MailServer.start({ authOptional: true });
    const hostile = 'x\r\nBcc: evil@example.org\r\n\r\ninjected';
    const notice = testNotice({
      host: hostile,
      job: hostile,
      errors: [{ code: 'TOOL_FAILED', message: `${hostile}\n.\nQUIT`, source: hostile }],
    });
    await notifierAt(server.port, { tls: 'none' }).notify(notice, NO_ABORT);
    const [mail] = server.mails;
    expect(mail?.to).toEqual(['ops@example.org', 'night@example.org']);
    const [headers = ''] = mail?.source.split('\r\n\r\n', 1) ?? [];
    const names = headers.split('\r\n').flatMap((line) => /^([\w-]+):/.exec(line)?.[1] ?? []);
    expect(names.toSorted((a, b) => a.localeCompare(b))).toEqual(
      [
        'Auto-Submitted',
        'Content-Transfer-Encoding',
        'Content-Type',
        'Date',
        'From',
        'Message-ID',
        'MIME-Version',
        'Subject',
        'To',
        'X-Cofre-Event',
      ].toSorted((a, b) => a.localeCompare(b)),
    );
    expect(server.mails).toHaveLength(1);
  });
});

describe('no mail and no password goes to', () => {
  test('a server that offers no encryption', async () => {
    const server = await MailServer.start({
      hideSTARTTLS: true,
      disabledCommands: ['STARTTLS'],
      allowInsecureAuth: true,
    });
    const fault = await faultOf(notifierAt(server.port, login));
    expect(fault).toMatchObject({
      code: 'NOTIFY_FAILED',
      message: expect.stringContaining('encryption') as string,
    });
    expect(server.mails).toEqual([]);
    expect(server.logins).toEqual([]);
  });

  test('a server whose offer somebody between took away', async () => {
    const { cert, key, certFile } = await selfSigned();
    const server = await MailServer.start({
      cert,
      key,
      allowInsecureAuth: true,
      disabledCommands: ['STARTTLS'],
    });
    const port = await stripTls(server.port);
    await faultOf(notifierAt(port, { ...login, ca: certFile }));
    expect(server.logins).toEqual([]);
    expect(server.mails).toEqual([]);
  });

  test.each(['starttls', 'implicit'] as const)('a server that nobody vouches for, with %s', async (tls) => {
    const { cert, key } = await selfSigned();
    const server = await MailServer.start({ cert, key, secure: tls === 'implicit' });
    const fault = await faultOf(notifierAt(server.port, { ...login, tls }));
    expect(fault.hint).toContain('`smtp.ca`');
    expect(fault.isFinal).toBe(false);
    expect(server.logins).toEqual([]);
  });

  test('a server with the certificate of another', async () => {
    const { cert, key, certFile } = await selfSigned('subjectAltName=DNS:other.example.org');
    const server = await MailServer.start({ cert, key });
    const fault = await faultOf(notifierAt(server.port, { ...login, ca: certFile }));
    expect(fault.message).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(server.logins).toEqual([]);
  });
});

describe('a fault', () => {
  test('of the login is final, and shows neither the password nor what the server said', async () => {
    const { cert, key, certFile } = await selfSigned();
    const server = await MailServer.start({ cert, key });
    const fault = await faultOf(notifierAt(server.port, { user: USER, password: 'wr0ng', ca: certFile }));
    expect(fault).toMatchObject({
      isFinal: true,
      hint: expect.stringContaining('`smtp.password`') as string,
    });
    expect(fault.message).toBe(`the mail server 127.0.0.1:${server.port} refused the login with status 535`);
    expect(JSON.stringify(fault)).not.toContain('wr0ng');
  });

  test.each([
    [550, true],
    [451, false],
  ])('of all recipients with status %i is final: %s', async (responseCode, isFinal) => {
    const server = await MailServer.start({
      authOptional: true,
      onRcptTo: (_address, _session, done) => done(Object.assign(new Error('no'), { responseCode })),
    });
    const fault = await faultOf(notifierAt(server.port, { tls: 'none' }));
    expect(fault).toMatchObject({
      isFinal,
      message: expect.stringContaining(`status ${responseCode}`) as string,
    });
  });

  test.each([
    ['454 TLS not available due to temporary reason', false],
    ['502 not here', true],
  ])('of the encryption, %s, is final: %s', async (answer, isFinal) => {
    const fault = await faultOf(notifierAt(await hesitantServer(answer)));
    expect(fault).toMatchObject({ isFinal, message: expect.stringContaining('no encryption') as string });
  });

  test('of one recipient is told, and the mail is not sent to the others again', async () => {
    const server = await MailServer.start({
      authOptional: true,
      onRcptTo: ({ address }, _session, done) =>
        address.startsWith('night') ? done(Object.assign(new Error('no'), { responseCode: 550 })) : done(),
    });
    const fault = await faultOf(notifierAt(server.port, { tls: 'none' }));
    expect(fault).toMatchObject({
      isFinal: true,
      isPartial: true,
      message: '127.0.0.1 refused 1 of 2 recipients',
    });
    expect(server.mails).toMatchObject([{ to: ['ops@example.org'] }]);
  });

  test('of the network may pass', async () => {
    const fault = await faultOf(notifierAt(await deadPort(), { tls: 'none' }));
    expect(fault).toMatchObject({
      isFinal: false,
      message: expect.stringContaining('ECONNREFUSED') as string,
    });
  });

  test('of the file with the certificates names it', async () => {
    const ca = join(await temporaryDirectory(), 'missing.pem');
    const fault = await faultOf(notifierAt(1, { ca }));
    expect(fault).toMatchObject({
      isFinal: true,
      message: expect.stringContaining(`${ca} cannot be read: ENOENT`) as string,
    });
  });

  test.each([
    ['never greets', ''],
    ['greets and hangs', '220 mail ready\r\n'],
  ])('of a server that %s is one of time', async (_, greeting) => {
    const notifier = notifierAt(await silentServer(greeting), { tls: 'none' });
    const fault = await attemptOnce(notifier, testNotice(), 200, NO_ABORT);
    expect(fault).toMatchObject({ code: 'NOTIFY_FAILED', message: 'no answer within 200 ms' });
  });

  test('is none of the server when the work is stopped', async () => {
    const notifier = notifierAt(await silentServer(), { tls: 'none' });
    const stop = new AbortController();
    const sending = notifier.notify(testNotice(), stop.signal);
    stop.abort(new Error('stopped'));
    await expect(sending).rejects.toThrow('stopped');
  });
});
