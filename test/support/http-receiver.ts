import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { waitFor } from './wait-for.ts';

export interface Received {
  method: string;
  /** Path and query. */
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** What a receiver answers to the nth request, from 1 on; `hang` never answers. */
export type Answering = (
  nth: number,
  request: Received,
) => number | 'hang' | { status: number; headers: Record<string, string> };

/** A program that listens on HTTP at a port of its own on loopback, and notes what it gets. Gone with the test. */
export class HttpReceiver {
  readonly received: Received[] = [];
  readonly #server: Server;
  readonly #hanging: ServerResponse[] = [];

  private constructor(answer: Answering) {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url: path = '', headers } = request;
        const received = { method, path, headers, body: Buffer.concat(chunks).toString() };
        this.received.push(received);
        const answered = answer(this.received.length, received);
        if (answered === 'hang') this.#hanging.push(response);
        else if (typeof answered === 'number') response.writeHead(answered).end('seen');
        else response.writeHead(answered.status, answered.headers).end();
      });
    });
  }

  static async start(answer: Answering = () => 200): Promise<HttpReceiver> {
    const receiver = new HttpReceiver(answer);
    const server = receiver.#server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => receiver.stop());
    return receiver;
  }

  url(path = '/'): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  /** The requests, once there are so many. */
  async atLeast(count: number): Promise<Received[]> {
    await waitFor(`${count} requests`, () => this.received.length >= count);
    return this.received;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** An address on loopback where nobody listens. */
export async function deadUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}/`;
}
