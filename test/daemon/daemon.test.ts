import { readFile, rm, symlink } from 'node:fs/promises';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { type DaemonOptions, runDaemon } from '../../src/daemon/daemon.ts';
import { SystemdNotifier } from '../../src/daemon/systemd-notify.ts';
import { BackupError } from '../../src/domain/errors.ts';
import type { Service } from '../../src/domain/ports.ts';
import { FakeClock, NO_ABORT } from '../support/fakes.ts';
import { foreignFile, plantLink } from '../support/planted-link.ts';
import { descendantsOf } from '../support/processes.ts';
import { journalEntries } from '../support/stock.ts';
import { NOW, openTestLocation, type TestLocation } from '../support/test-location.ts';
import { waitFor } from '../support/wait-for.ts';

const STOPPED = new BackupError('CANCELLED', 'stopped');

/** A service that notes when it starts and stops. */
class FakeService implements Service {
  readonly id: string;
  readonly #trace: string[];

  constructor(id: string, trace: string[]) {
    this.id = id;
    this.#trace = trace;
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#trace.push(`${this.id} runs`);
    if (!signal.aborted)
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await new Promise((resolve) => setImmediate(resolve));
    this.#trace.push(`${this.id} stopped`);
  }
}

function daemonOf(bed: TestLocation, facts: Partial<DaemonOptions> = {}) {
  const trace: string[] = [];
  const stop = new AbortController();
  const options: DaemonOptions = {
    context: bed.context,
    log: pino({ level: 'silent' }),
    systemd: new SystemdNotifier({}, () => undefined),
    http: new FakeService('http', trace),
    services: [new FakeService('scheduler', trace), new FakeService('index', trace)],
    onReady: (ready) => trace.push(`ready: ${ready}`),
    statusLine: async () => 'fine',
    ...facts,
  };
  return { trace, options, stop, run: () => runDaemon(options, stop.signal) };
}

describe('the life of a daemon', () => {
  test('is http first and last, the services between, ready only while they run', async () => {
    const bed = await openTestLocation();
    const { trace, stop, run } = daemonOf(bed);
    const running = run();
    await waitFor('it to be ready', () => trace.includes('ready: true'));
    stop.abort(STOPPED);
    await running;
    expect(trace).toEqual([
      'http runs',
      'scheduler runs',
      'index runs',
      'ready: true',
      'ready: false',
      'scheduler stopped',
      'index stopped',
      'http stopped',
    ]);
    await using lock = await bed.location.lock('daemon', NO_ABORT, 0);
    expect(lock.lost.aborted).toBe(false);
  });

  test('puts the location in order before anything is scheduled', async () => {
    const bed = await openTestLocation();
    await bed.context.journal.append({
      event: 'started',
      at: NOW,
      run: 'dead',
      job: 'nightly',
      trigger: 'schedule',
      actor: 'daemon',
      sources: [],
    });
    const seen: unknown[] = [];
    const first: Service = {
      id: 'first',
      run: async (signal) => {
        seen.push(...(await journalEntries(bed)));
        await new FakeService('first', []).run(signal);
      },
    };
    const { stop, run, trace } = daemonOf(bed, { services: [first] });
    const running = run();
    await waitFor('it to be ready', () => trace.includes('ready: true') && seen.length > 0);
    stop.abort(STOPPED);
    await running;
    expect(seen).toMatchObject([{ event: 'started' }, { event: 'ended', run: 'dead' }]);
  });

  test('a stop while it puts the location in order is a clean one', async () => {
    const bed = await openTestLocation({ clock: new FakeClock(NOW) });
    const { stop, run, trace } = daemonOf(bed);
    const { journal } = bed.context;
    const refresh = journal.refresh.bind(journal);
    Object.defineProperty(journal, 'refresh', {
      value: async () => {
        stop.abort(STOPPED);
        await refresh();
      },
    });
    await run();
    expect(trace).not.toContain('ready: true');
    expect(trace.at(-1)).toBe('http stopped');
  });
});

describe('a daemon that cannot go on', () => {
  test('two daemons on one location: the second says why it does not start', async () => {
    const bed = await openTestLocation();
    const first = daemonOf(bed);
    const running = first.run();
    await waitFor('the first', () => first.trace.includes('ready: true'));
    const second = daemonOf(await openTestLocation({ root: bed.root }));
    await expect(second.run()).rejects.toMatchObject({
      code: 'LOCK_BUSY',
      path: bed.root,
      message: expect.stringContaining(`process ${process.pid} on `) as string,
    });
    expect(second.trace).toEqual([]);
    first.stop.abort(STOPPED);
    await running;
    expect(await readFile(bed.location.lockPath('daemon'), 'utf8')).toContain(String(process.pid));
  });

  test('a link planted at its lock file keeps it from its start, and what it leads to is left as it is', async () => {
    const bed = await openTestLocation();
    const path = bed.location.lockPath('daemon');
    const victim = await plantLink(path);
    const before = await victim.state();
    const { trace, run } = daemonOf(bed);
    await expect(run()).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE', path });
    expect(trace).toEqual([]);
    expect(await victim.state()).toEqual(before);
  });

  test('a link planted at its lock file while it takes the lock gets no note', async () => {
    const bed = await openTestLocation();
    const path = bed.location.lockPath('daemon');
    const victim = await foreignFile();
    const before = await victim.state();
    const { location } = bed;
    const lock = location.lock.bind(location);
    Object.defineProperty(location, 'lock', {
      value: async (...args: Parameters<typeof lock>) => {
        const taken = await lock(...args);
        if (args[0] === 'daemon') {
          await rm(path);
          await symlink(victim.path, path);
        }
        return taken;
      },
    });
    const { trace, stop, run } = daemonOf(bed);
    const running = run();
    await waitFor('it to be ready', () => trace.includes('ready: true'));
    stop.abort(STOPPED);
    await running;
    expect(await victim.state()).toEqual(before);
  });

  test('stops with the error of a service that fails, and stops the others first', async () => {
    const bed = await openTestLocation();
    const failing: Service = {
      id: 'failing',
      run: async () => {
        await new Promise((resolve) => setImmediate(resolve));
        throw new BackupError('IO_FAILED', 'the disk went away');
      },
    };
    const { options, trace, run } = daemonOf(bed);
    Object.assign(options, { services: [...options.services, failing] });
    await expect(run()).rejects.toMatchObject({ code: 'IO_FAILED' });
    expect(trace).toContain('scheduler stopped');
    expect(trace.at(-1)).toBe('http stopped');
  });

  test('a service that ends by itself is a fault', async () => {
    const bed = await openTestLocation();
    const { run } = daemonOf(bed, { services: [{ id: 'lazy', run: async () => undefined }] });
    await expect(run()).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.stringContaining('lazy') as string,
    });
  });

  test('an address that is taken ends it with that reason', async () => {
    const bed = await openTestLocation();
    const http: Service = {
      id: 'http',
      run: async () => {
        throw new BackupError('ADDRESS_IN_USE', 'cannot listen');
      },
    };
    await expect(daemonOf(bed, { http }).run()).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
    await using lock = await bed.location.lock('daemon', NO_ABORT, 0);
    expect(lock.lost.aborted).toBe(false);
  });

  test('the loss of its lock ends it', async () => {
    const bed = await openTestLocation();
    const { trace, run } = daemonOf(bed);
    const running = run();
    await waitFor('it to be ready', () => trace.includes('ready: true'));
    for (const { pid, command } of descendantsOf(process.pid)) {
      if (command === 'cat') process.kill(pid, 'SIGKILL');
    }
    await expect(running).rejects.toMatchObject({ code: 'LOCK_LOST' });
    expect(trace).toContain('scheduler stopped');
  });
});
