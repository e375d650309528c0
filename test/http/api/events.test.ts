import { get, type IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { EventStreams } from '../../../src/http/api/event-streams.ts';
import type { BoardEvent, RunBoard } from '../../../src/engine/run-board.ts';
import type { RunView } from '../../../src/domain/run-view.ts';
import { HttpServer } from '../../../src/http/http-server.ts';
import { ADMIN, type ApiBed, openApiBed, tokenOf } from '../../support/api-bed.ts';
import { waitFor } from '../../support/wait-for.ts';

interface Event {
  event: string;
  data: { run: RunView; runs: RunView[] } & Record<string, unknown>;
}

/** Reads a stream as a browser does: with fetch, and a token in a header. */
class Reader implements Disposable {
  readonly events: Event[] = [];
  readonly #stop = new AbortController();
  text = '';
  type = '';
  isOver = false;

  static async open(url: string): Promise<Reader> {
    const reader = new Reader();
    const headers = { authorization: `Bearer ${tokenOf('read')}` };
    const reply = await fetch(`${url}/api/v1/events`, { headers, signal: reader.#stop.signal });
    if (reply.status !== 200) throw new Error(`${reply.status} ${await reply.text()}`);
    reader.type = reply.headers.get('content-type') ?? '';
    void reader.#read(reply).catch(() => undefined);
    await waitFor('the first event', () => reader.events.length > 0);
    return reader;
  }

  async #read(reply: Response): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of reply.body ?? []) {
      this.text += decoder.decode(chunk as Uint8Array, { stream: true });
      const blocks = this.text.split('\n\n').slice(0, -1);
      this.events.splice(0, this.events.length, ...blocks.flatMap(eventOf));
    }
    this.isOver = true;
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }
}

function eventOf(block: string): Event[] {
  const match = /^event: (.*)\ndata: (.*)$/.exec(block);
  return match === null ? [] : [{ event: match[1] ?? '', data: JSON.parse(match[2] ?? '') as Event['data'] }];
}

async function listening(bed: ApiBed): Promise<string> {
  return await bed.server.listen({ host: '127.0.0.1', port: 0 });
}

describe('a stream', () => {
  test('tells a run from its queue to its end, with progress and outcome', async () => {
    const bed = await openApiBed();
    using reader = await Reader.open(await listening(bed));
    expect(reader.type).toBe('text/event-stream');
    expect(reader.events).toEqual([{ event: 'runs', data: { runs: [] } }]);
    await bed.backup();
    await waitFor('the end', () => reader.events.some(({ event }) => event === 'run-ended'));
    const events = reader.events.slice(1);
    expect(new Set(events.map(({ event }) => event))).toEqual(
      new Set(['run-queued', 'run-started', 'progress', 'run-ended']),
    );
    const progress = events.filter(({ event }) => event === 'progress').map(({ data }) => data);
    expect(progress[0]).toMatchObject({ job: 'app', source: 'tree', step: 'capture' });
    expect(progress.map(({ step }) => step)).toContain('verify');
    expect(Object.keys(progress[0] ?? {})).toEqual(
      expect.arrayContaining(['run', 'bytes', 'total_bytes', 'bytes_per_second']),
    );
    expect(events.at(-1)?.data.run).toMatchObject({ job: 'app', outcome: 'succeeded', actor: 'admin' });
  });

  test('begins with what is under way, and tells runs of other processes', async () => {
    const bed = await openApiBed();
    const { journal } = bed.app.context;
    const identity = { run: '20261127_000000-abcdef', job: 'app', trigger: 'cli', actor: 'cli:x' } as const;
    await journal.append({ event: 'started', at: new Date().toISOString(), ...identity, sources: [] });
    using reader = await Reader.open(await listening(bed));
    expect(reader.events[0]?.data.runs).toMatchObject([{ ...identity, state: 'running' }]);
    const other = await openOther(bed);
    await other.append({
      event: 'ended',
      at: new Date().toISOString(),
      ...identity,
      outcome: 'failed',
      duration_ms: 1,
      archives: [],
      errors: [],
    });
    await waitFor('the end', () => reader.events.some(({ event }) => event === 'run-ended'));
  });

  test('ends when the server is told to stop, and no other is opened', async () => {
    const bed = await openApiBed();
    const { api, ...options } = bed.options;
    const { promise, resolve } = Promise.withResolvers<string>();
    const server = new HttpServer(bed.observed, {
      ...options,
      host: '127.0.0.1',
      port: 0,
      socketMode: 0o600,
      loadApi: async () => api,
      onListening: resolve,
    });
    const stop = new AbortController();
    const running = server.run(stop.signal);
    using reader = await Reader.open(await promise);
    stop.abort();
    await running;
    await waitFor('the end of the stream', () => reader.isOver);
    expect((await bed.call('GET', '/api/v1/events')).status).toBe(503);
  });

  test.each(['HEAD', 'POST', 'DELETE'])('%s has none', async (method) => {
    const bed = await openApiBed();
    const { status, headers } = await bed.call(method, '/api/v1/events');
    expect({ status, allow: headers['allow'] }).toEqual({ status: 405, allow: 'GET' });
  });

  test('no more than 32 are open at once, and one that is closed makes room', async () => {
    const bed = await openApiBed();
    const url = await listening(bed);
    const headers = { authorization: `Bearer ${ADMIN}` };
    const open = () =>
      new Promise<IncomingMessage>((resolve) => get(`${url}/api/v1/events`, { headers }, resolve));
    const streams = await Promise.all(Array.from({ length: 32 }, open));
    expect(streams.every(({ statusCode }) => statusCode === 200)).toBe(true);
    const refused = await bed.call('GET', '/api/v1/events');
    expect({ status: refused.status, retry: refused.headers['retry-after'] }).toEqual({
      status: 429,
      retry: '3',
    });
    streams[0]?.destroy();
    await waitFor('room', async () => {
      const next = await open();
      streams.push(next);
      return next.statusCode === 200;
    });
    for (const stream of streams) stream.destroy();
  });
});

describe('a reader that does not read', () => {
  /** A board that tells what the test says. */
  function fakeBoard() {
    const listeners = new Set<(event: BoardEvent) => void>();
    const board = {
      live: () => [],
      subscribe: (listener: (event: BoardEvent) => void) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    } as unknown as RunBoard;
    const progress = { source: null, step: 'capture', bytes: 1, total_bytes: null, bytes_per_second: 1 };
    const tell = () => {
      for (const listener of listeners)
        listener({ event: 'progress', run: 'x'.repeat(200), job: 'app', progress });
    };
    return { board, listeners, tell };
  }

  test('is dropped before much piles up; the others are told on', async () => {
    const { board, listeners, tell } = fakeBoard();
    const streams = new EventStreams(board, { lookAround: async () => undefined });
    const slow = streams.open();
    const quick = streams.open();
    let bytes = 0;
    quick.on('data', (chunk: Buffer) => (bytes += chunk.length));
    let told = 0;
    while (!slow.destroyed && told < 100_000) {
      tell();
      told += 1;
      if (told % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(slow.destroyed).toBe(true);
    expect(told).toBeLessThan(2_000);
    await waitFor('the other one', () => bytes > told * 200);
    await waitFor('the slow one to be forgotten', () => streams.size === 1);
    quick.destroy();
    await waitFor('both to be forgotten', () => streams.size === 0);
    expect(listeners.size).toBe(0);
    streams.close();
    expect(() => streams.open()).toThrow('cofre is stopping');
  });
});

describe('streams', () => {
  const board = { live: () => [], subscribe: () => () => undefined } as unknown as RunBoard;

  test('go on when the runs of others cannot be looked for', async () => {
    let looks = 0;
    const lookAround = async () => {
      looks += 1;
      await Promise.reject(new Error('too many open files'));
    };
    const streams = new EventStreams(board, { lookAround, lookEvery_ms: 1 });
    const stream = streams.open();
    await waitFor('another look', () => looks > 2);
    expect(stream.destroyed).toBe(false);
    streams.close();
  });

  test('are ended with news behind the end, and others are opened', async () => {
    const bed = await openApiBed();
    const streams = new EventStreams(bed.board, { lookAround: async () => undefined });
    const [stream, ...more] = Array.from({ length: 32 }, () => streams.open());
    const faults: unknown[] = [];
    for (const each of [stream, ...more]) each?.on('error', (error) => faults.push(error));
    streams.disconnect();
    expect(streams.size).toBe(0);
    const next = streams.open();
    await bed.backup();
    expect(faults).toEqual([]);
    const text = (await stream?.toArray())?.join('');
    expect(text).toContain('event: runs');
    expect(text).not.toContain('event: run-queued');
    streams.close();
    expect((await next.toArray()).join('')).toContain('event: run-queued');
  });
});

/** The journal of the same location, as another process has it. */
async function openOther(bed: ApiBed) {
  const { Journal } = await import('../../../src/catalogue/journal.ts');
  const { location } = bed.app.context;
  return new Journal(location.journal, location.owner);
}
