import { describe, expect, test } from 'vitest';
import { RunQueue } from '../../src/daemon/run-queue.ts';
import { NO_ABORT } from '../support/fakes.ts';

/** Pieces of work that a test ends one by one, and what is known of them. */
class Bench {
  readonly started: string[] = [];
  readonly #ends = new Map<string, () => void>();
  active = 0;
  most = 0;

  work(name: string): () => Promise<void> {
    return async () => {
      this.started.push(name);
      this.active += 1;
      this.most = Math.max(this.most, this.active);
      await new Promise<void>((resolve) => this.#ends.set(name, resolve));
      this.active -= 1;
    };
  }

  /** Ends the work; all of it at the very same moment. */
  async end(...names: string[]): Promise<void> {
    for (const name of names) this.#ends.get(name)?.();
    await settle();
  }
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

async function filled(concurrency: number, names: readonly string[], signal = NO_ABORT) {
  const queue = new RunQueue(concurrency);
  const bench = new Bench();
  const done = names.map((name) => queue.add(bench.work(name), signal));
  await settle();
  return { queue, bench, done };
}

describe('a queue', () => {
  test('runs at most so many at once, the others in the order they came', async () => {
    const { queue, bench } = await filled(2, ['a', 'b', 'c', 'd']);
    expect(bench.started).toEqual(['a', 'b']);
    await bench.end('b');
    expect(bench.started).toEqual(['a', 'b', 'c']);
    await bench.end('a', 'c');
    await bench.end('d');
    await queue.idle();
    expect(bench).toMatchObject({ started: ['a', 'b', 'c', 'd'], most: 2, active: 0 });
  });

  test('does not run too many when several end at the same moment', async () => {
    const { bench } = await filled(2, ['a', 'b', 'c', 'd', 'e', 'f']);
    await bench.end('a', 'b');
    expect(bench).toMatchObject({ started: ['a', 'b', 'c', 'd'], most: 2 });
  });

  test('does not run too many when work comes in at the moment that one ends', async () => {
    const queue = new RunQueue(1);
    const bench = new Bench();
    const first = queue.add(bench.work('a'), NO_ABORT);
    void queue.add(bench.work('b'), NO_ABORT);
    await settle();
    void first.then(() => queue.add(bench.work('c'), NO_ABORT));
    await bench.end('a');
    expect(bench).toMatchObject({ started: ['a', 'b'], most: 1 });
    await bench.end('b');
    expect(bench.started).toEqual(['a', 'b', 'c']);
  });

  test('goes on after work that throws', async () => {
    const queue = new RunQueue(1);
    const failing = queue.add(async () => {
      throw new Error('broken');
    }, NO_ABORT);
    const bench = new Bench();
    void queue.add(bench.work('next'), NO_ABORT);
    await expect(failing).rejects.toThrow('broken');
    await settle();
    expect(bench.started).toEqual(['next']);
  });

  test('takes on more when it is widened, and not more than that, however often it is told', async () => {
    const { queue, bench } = await filled(1, ['a', 'b', 'c', 'd']);
    queue.setConcurrency(2);
    queue.setConcurrency(2);
    await settle();
    expect(bench.started).toEqual(['a', 'b']);
    queue.setConcurrency(1);
    await bench.end('a');
    expect(bench.started).toEqual(['a', 'b']);
    await bench.end('b');
    expect(bench.started).toEqual(['a', 'b', 'c']);
  });
});

describe('an abort', () => {
  test('drops what waits and leaves what runs', async () => {
    const controller = new AbortController();
    const { queue, bench, done } = await filled(1, ['a', 'b', 'c'], controller.signal);
    controller.abort();
    await Promise.all(done.slice(1));
    expect(bench.active).toBe(1);
    await bench.end('a');
    await queue.idle();
    expect(bench.started).toEqual(['a']);
  });

  test('of one leaves its place to the next', async () => {
    const { queue, bench } = await filled(1, ['a']);
    const controller = new AbortController();
    const dropped = queue.add(bench.work('dropped'), controller.signal);
    void queue.add(bench.work('next'), NO_ABORT);
    const ended = bench.end('a');
    // It was let in, and has not begun.
    controller.abort();
    await ended;
    await dropped;
    await settle();
    expect(bench.started.at(-1)).toBe('next');
    expect(bench.most).toBe(1);
  });

  test('that came before does not let work in', async () => {
    const { queue, bench } = await filled(1, []);
    await queue.add(bench.work('a'), AbortSignal.abort());
    expect(bench.started).toEqual([]);
  });
});

test('an empty queue is idle', async () => {
  await expect(new RunQueue(1).idle()).resolves.toBeUndefined();
});
