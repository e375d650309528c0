import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BATCH_BYTES, BatchQueue } from './batch-queue.ts';

/** What a read brings of a writer that is ahead of its reader. */
const MUCH_BYTES = BATCH_BYTES / 4;
/** A unix socket holds about 200 KiB; a writer that fills it within the pause is held up by it. */
const NEARLY_FULL_BYTES = 176 * 1024;
/** The shortest pause there is. */
const PAUSE_MS = 1;

/**
 * What a program writes to the socket it is given as its stdout, read straight into batches, see BatchQueue.
 *
 * pg_dump writes 8 KiB at a time, and a reader that is woken by each spends more on that than on the bytes. So after
 * a small read there is a pause of a millisecond, in which the socket fills; but not where it fills so fast that the
 * writer would have to wait. That is a third of what reading otherwise costs.
 */
export class OutputSocket {
  /** For the program; to be destroyed here once the program has it, or the end is never seen. */
  readonly theirs: Socket;
  readonly #ours: Socket;
  readonly #queue: BatchQueue;

  private constructor(theirs: Socket, ours: Socket, queue: BatchQueue) {
    this.theirs = theirs;
    this.#ours = ours;
    this.#queue = queue;
  }

  /**
   * Undefined where no socket can be made, such as without a directory for temporary files. The pair is connected
   * through one in a private directory, which is gone when this resolves: Node has no call for it.
   */
  static async open(parent = tmpdir()): Promise<OutputSocket | undefined> {
    let directory: string | undefined;
    try {
      directory = await mkdtemp(join(parent, 'cofre-pipe-'));
      return await OutputSocket.#connect(join(directory, 's'));
    } catch {
      // The caller has the ordinary pipe, which is slower.
      return undefined;
    } finally {
      if (directory !== undefined)
        await rm(directory, { recursive: true, force: true }).catch(() => undefined);
    }
  }

  static async #connect(path: string): Promise<OutputSocket> {
    const server = createServer({ pauseOnConnect: true });
    server.listen(path);
    await once(server, 'listening');
    try {
      const queue = new BatchQueue();
      const accepted = once(server, 'connection') as Promise<[Socket]>;
      // Awaited later, or never where connecting fails; until then a rejection must not count as unhandled.
      accepted.catch(() => undefined);
      const ours: Socket = connect({ path, onread: intoQueue(queue, () => ours) });
      ours.once('close', () => queue.end(ours.errored ?? undefined));
      // Told by the end of the queue; without a listener it would end the process.
      ours.on('error', () => undefined);
      await once(ours, 'connect');
      const [theirs] = await accepted;
      theirs.on('error', () => undefined);
      return new OutputSocket(theirs, ours, queue);
    } finally {
      server.close();
    }
  }

  /** Until every process that has the other end has closed it. Throws what reading fails with. */
  async *batches(): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* this.#queue.batches(() => this.#ours.resume());
    } finally {
      this.destroy();
    }
  }

  destroy(): void {
    this.theirs.destroy();
    this.#ours.destroy();
  }
}

/** What `onread` of a socket takes: reading goes straight into the memory of the queue. */
function intoQueue(queue: BatchQueue, socket: () => Socket) {
  let drained_bytes = 0;
  let unpaused_bytes = 0;
  return {
    buffer: () => queue.room(),
    callback: (bytes: number) => {
      queue.wrote(bytes);
      if (queue.isFull) {
        // That the socket is full when reading goes on says nothing of the writer.
        drained_bytes = Number.NEGATIVE_INFINITY;
        return false;
      }
      if (bytes >= MUCH_BYTES) {
        drained_bytes += bytes;
        return true;
      }
      if (drained_bytes >= NEARLY_FULL_BYTES) unpaused_bytes = BATCH_BYTES;
      drained_bytes = 0;
      if (unpaused_bytes > 0) {
        unpaused_bytes -= bytes;
        return true;
      }
      setTimeout(() => {
        if (!queue.isFull) socket().resume();
      }, PAUSE_MS);
      return false;
    },
  };
}
