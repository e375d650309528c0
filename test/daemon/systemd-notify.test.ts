import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SystemdNotifier } from '../../src/daemon/systemd-notify.ts';
import type { BackupError } from '../../src/domain/errors.ts';
import { requireProgram } from '../support/require-program.ts';

let directory: string;
let faults: BackupError[];
const log = (fault: BackupError) => {
  faults.push(fault);
};

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cofre-notify-'));
  faults = [];
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

interface Call {
  args: string[];
  env: Record<string, string>;
}

/** A `systemd-notify` that records how it was called, first on the PATH of the environment returned. */
async function fakeProgram(body = ''): Promise<{ env: NodeJS.ProcessEnv; calls: () => Promise<Call[]> }> {
  const record = join(directory, 'calls.jsonl');
  const script = join(directory, 'systemd-notify');
  await writeFile(
    script,
    `#!${process.execPath}
const { appendFileSync } = require('node:fs');
const call = { args: process.argv.slice(2), env: process.env };
${body}
appendFileSync(${JSON.stringify(record)}, JSON.stringify(call) + '\\n');
`,
  );
  await chmod(script, 0o755);
  await writeFile(record, '');
  return {
    env: { PATH: directory, NOTIFY_SOCKET: '/run/systemd/notify', DATABASE_URI: 'postgresql://u:secret@h/d' },
    calls: async () => {
      const text = await readFile(record, 'utf8');
      return text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Call);
    },
  };
}

describe('through the program systemd-notify', () => {
  test('sends READY, STATUS, WATCHDOG and STOPPING in the order of the calls', async () => {
    // The first call is the slowest: without a queue it would arrive last.
    const fake = await fakeProgram(
      `if (call.args[0] === 'READY=1') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);`,
    );
    const notifier = new SystemdNotifier(fake.env, log);
    await Promise.all([
      notifier.ready(),
      notifier.status('next run: app at 02:00'),
      notifier.watchdog(),
      notifier.stopping(),
    ]);
    const calls = await fake.calls();
    expect(calls.map((call) => call.args)).toEqual([
      ['READY=1'],
      ['STATUS=next run: app at 02:00'],
      ['WATCHDOG=1'],
      ['STOPPING=1'],
    ]);
    expect(faults).toEqual([]);
  });

  test('gives the child the socket and PATH and nothing else of the environment', async () => {
    const fake = await fakeProgram();
    await new SystemdNotifier(fake.env, log).ready();
    const [call] = await fake.calls();
    expect(call?.env).toMatchObject({ NOTIFY_SOCKET: '/run/systemd/notify', PATH: directory });
    expect(JSON.stringify(call)).not.toContain('secret');
  });

  test('waits for the service manager: a message of a sender that has ended is dropped', async () => {
    const fake = await fakeProgram();
    await new SystemdNotifier(fake.env, log).ready();
    expect((await fake.calls())[0]?.args).not.toContain('--no-block');
  });

  test('sends the time of a reload on the clock systemd compares it with', async () => {
    const fake = await fakeProgram();
    const before_us = process.hrtime.bigint() / 1_000n;
    await new SystemdNotifier(fake.env, log).reloading();
    const after_us = process.hrtime.bigint() / 1_000n;
    const [call] = await fake.calls();
    expect(call?.args[0]).toBe('RELOADING=1');
    const [name, value] = call?.args[1]?.split('=') ?? [];
    expect(name).toBe('MONOTONIC_USEC');
    expect(BigInt(value ?? '')).toBeGreaterThanOrEqual(before_us);
    expect(BigInt(value ?? '')).toBeLessThanOrEqual(after_us);
  });

  test('a status of several lines cannot smuggle in another assignment', async () => {
    const fake = await fakeProgram();
    await new SystemdNotifier(fake.env, log).status('failed:\r\nMAINPID=1\u0000\n');
    expect((await fake.calls())[0]?.args).toEqual(['STATUS=failed: MAINPID=1']);
  });

  test('signs of life do not pile up behind a slow one', async () => {
    const fake = await fakeProgram('Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);');
    const notifier = new SystemdNotifier(fake.env, log);
    await Promise.all([notifier.watchdog(), notifier.watchdog(), notifier.watchdog()]);
    await notifier.watchdog();
    expect((await fake.calls()).map((call) => call.args[0])).toEqual(['WATCHDOG=1', 'WATCHDOG=1']);
  });
});

describe('when systemd cannot be told', () => {
  test('does nothing at all without NOTIFY_SOCKET', async () => {
    const fake = await fakeProgram();
    for (const NOTIFY_SOCKET of [undefined, '']) {
      const notifier = new SystemdNotifier({ ...fake.env, NOTIFY_SOCKET, WATCHDOG_USEC: '1000000' }, log);
      await notifier.ready();
      await notifier.stopping();
      expect(notifier.watchdogInterval_ms).toBeUndefined();
    }
    expect(await fake.calls()).toEqual([]);
    expect(faults).toEqual([]);
  });

  test('a missing program is logged once and is never fatal', async () => {
    const notifier = new SystemdNotifier({ PATH: directory, NOTIFY_SOCKET: '/run/systemd/notify' }, log);
    await notifier.ready();
    await notifier.status('running');
    await notifier.watchdog();
    expect(faults.map((fault) => fault.code)).toEqual(['TOOL_MISSING']);
    expect(faults[0]?.message).toContain('systemd could not be notified');
    expect(faults[0]?.hint).toContain('Debian package: systemd');
  });

  test('a failing program is logged once, with its message, and the next message is still tried', async () => {
    const fake = await fakeProgram(
      `if (call.args[0] !== 'STOPPING=1') { console.error('Failed to notify: no such socket'); process.exit(1); }`,
    );
    const notifier = new SystemdNotifier(fake.env, log);
    await notifier.ready();
    await notifier.watchdog();
    await notifier.stopping();
    expect(faults.map((fault) => fault.code)).toEqual(['TOOL_FAILED']);
    expect(faults[0]?.message).toContain('Failed to notify: no such socket');
    expect((await fake.calls()).map((call) => call.args)).toEqual([['STOPPING=1']]);
  });
});

test('a program that hangs is ended, logged once, and holds nothing up for good', async () => {
  const fake = await fakeProgram(
    `if (call.args[0] !== 'STOPPING=1') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`,
  );
  const notifier = new SystemdNotifier(fake.env, log, 2_000);
  await notifier.ready();
  await notifier.stopping();
  expect(faults.map((fault) => fault.code)).toEqual(['TIMEOUT']);
  expect((await fake.calls()).map((call) => call.args)).toEqual([['STOPPING=1']]);
});

describe('the interval of the watchdog', () => {
  const NOTIFY_SOCKET = '/run/systemd/notify';
  const interval = (env: NodeJS.ProcessEnv) =>
    new SystemdNotifier({ NOTIFY_SOCKET, ...env }, log).watchdogInterval_ms;

  test.each([
    ['half of what systemd allows', { WATCHDOG_USEC: '120000000' }, 60_000],
    ['when it is meant for this process', { WATCHDOG_USEC: '1', WATCHDOG_PID: String(process.pid) }, 1],
    ['not when it is meant for another', { WATCHDOG_USEC: '120000000', WATCHDOG_PID: '1' }, undefined],
    ['not when nobody watches', {}, undefined],
    ['not when it is no number of microseconds', { WATCHDOG_USEC: 'soon' }, undefined],
    ['not when it is zero', { WATCHDOG_USEC: '0' }, undefined],
  ])('%s', (_, env, expected) => {
    expect(interval(env)).toBe(expected);
  });
});

/** Binds a datagram socket, says `bound`, then prints each message as one line of hex. */
const RECEIVER = `
use Socket; $| = 1;
socket(my $socket, PF_UNIX, SOCK_DGRAM, 0) or die $!;
bind($socket, sockaddr_un($ARGV[0])) or die $!;
print "bound\\n";
while (defined recv($socket, my $message, 65536, 0)) { print unpack('H*', $message), "\\n"; }
`;

test('the real systemd-notify delivers every message to a datagram socket', async () => {
  requireProgram('systemd-notify', 'systemd');
  requireProgram('perl', 'perl-base');
  const socket = join(directory, 'notify');
  const receiver = spawn('perl', ['-e', RECEIVER, socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const received: string[] = [];
  try {
    const lines = createInterface({ input: receiver.stdout });
    await once(lines, 'line');
    lines.on('line', (line) => received.push(Buffer.from(line, 'hex').toString()));
    const notifier = new SystemdNotifier({ PATH: process.env['PATH'], NOTIFY_SOCKET: socket }, log);
    await notifier.ready();
    await notifier.status('2 jobs; next: app at 02:00 — às duas');
    await notifier.reloading();
    await notifier.watchdog();
    await notifier.stopping();
    await expect.poll(() => received, { timeout: 10_000 }).toContain('STOPPING=1');
  } finally {
    receiver.kill();
    await once(receiver, 'close');
  }
  expect(faults).toEqual([]);
  // BARRIER=1 is how systemd-notify learns that its message was taken in.
  expect(received.filter((message) => message !== 'BARRIER=1')).toEqual([
    'READY=1',
    'STATUS=2 jobs; next: app at 02:00 — às duas',
    expect.stringMatching(/^RELOADING=1\nMONOTONIC_USEC=\d+$/),
    'WATCHDOG=1',
    'STOPPING=1',
  ]);
});
