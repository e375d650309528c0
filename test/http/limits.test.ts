import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, lstatSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HttpServer, type HttpOptions } from '../../src/http/http-server.ts';
import { ADMIN, type ApiBed, openApiBed } from '../support/api-bed.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

const ENDPOINT = { host: '127.0.0.1', port: 0, socketMode: 0o660 };

/** A server that listens, and how to stop it. */
async function start(options: Partial<HttpOptions> = {}, config: object = {}) {
  const bed = await openApiBed({ config: () => config });
  const { api, ...rest } = bed.options;
  const { promise, resolve } = Promise.withResolvers<string>();
  const server = new HttpServer(bed.observed, {
    ...rest,
    ...ENDPOINT,
    loadApi: async () => api,
    onListening: resolve,
    ...options,
  });
  const stop = new AbortController();
  const running = server.run(stop.signal);
  running.catch(() => undefined);
  const url = await Promise.race([promise, running.then(() => 'ended')]);
  return { bed, server, url, stop: async () => (stop.abort(), await running) };
}

/** Sends text as it is, and returns all that comes back. */
async function raw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(text);
  let reply = '';
  socket.on('data', (chunk: Buffer) => (reply += chunk.toString()));
  await once(socket, 'close');
  return reply;
}

/** An archive that no buffer of a socket holds. */
async function bigArchive(bed: ApiBed): Promise<string> {
  writeFileSync(join(bed.directory, 'tree/big'), randomBytes(32 * 1024 * 1024));
  return (await bed.backup()).filename;
}

describe('what is too much, too slow or no HTTP', () => {
  test.each([
    ['no HTTP at all', 'hello\r\n\r\n', '400'],
    [
      'a header of more than 8 KiB',
      `GET /livez HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(9_000)}\r\n\r\n`,
      '431',
    ],
    ['a path of more than 8 KiB', `GET /${'x'.repeat(9_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, '431'],
    ['a request that stops in its headers', 'POST /api/v1/backups HTTP/1.1\r\nHost: x\r\n', '408'],
    [
      'a body that stops',
      `POST /api/v1/backups HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${ADMIN}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
      '408',
    ],
  ])('%s is answered with its status, as a problem document', async (_, text, status) => {
    const { url, stop } = await start({ requestTimeout_ms: 300 });
    const reply = await raw(url, text);
    expect(reply).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(reply).toContain('application/problem+json');
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    await stop();
  });

  test.each([
    '/api/v1/backups/../../../etc/passwd',
    '/api/v1/backups/%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    '/../etc/passwd',
  ])('%s, as no client would send it, is 404', async (path) => {
    const { url, stop } = await start();
    const head = `Host: x\r\nConnection: close\r\nAuthorization: Bearer ${ADMIN}\r\n\r\n`;
    for (const method of ['GET', 'DELETE']) {
      const reply = await raw(url, `${method} ${path} HTTP/1.1\r\n${head}`);
      expect(reply).toMatch(/^HTTP\/1.1 404 /);
      expect(reply).not.toContain('root:');
    }
    await stop();
  });

  test.each(['/%zz', '/api/v1/backups/%zz', '/api/v1/backups/%ff'])(
    '%s, which cannot be decoded, is 400',
    async (path) => {
      const bed = await openApiBed();
      const { status, headers, problem } = await bed.call('GET', path);
      expect({ status, type: headers['content-type'], code: problem.code }).toEqual({
        status: 400,
        type: expect.stringContaining('application/problem+json') as string,
        code: 'USAGE',
      });
    },
  );

  test('work may take longer than a request, or silence, may', async () => {
    const sources = [{ type: 'files', name: 'tree', directories: ['./tree'] }];
    const slow = { schedule: '0 0 29 2 *', hooks: { before: ['sleep', '1'] }, sources };
    const { url, stop } = await start({ requestTimeout_ms: 200 }, { jobs: { app: slow } });
    const headers = { authorization: `Bearer ${ADMIN}` };
    const reply = await fetch(`${url}/api/v1/backups?wait=true`, { method: 'POST', headers });
    expect(await reply.json()).toMatchObject({ success: true });
    await stop();
  });

  test.each([
    ['a body of more than 64 KiB', 'application/json', JSON.stringify({ job: 'x'.repeat(70_000) }), 413],
    ['no JSON', 'application/json', '{"job"', 400],
    ['a key that would change every object', 'application/json', '{"__proto__": {}}', 400],
    ['nothing but null', 'application/json', 'null', 400],
    ['text', 'text/plain', 'job=app', 415],
    ['a form', 'application/x-www-form-urlencoded', 'job=app', 415],
    ['nothing, as a form', 'application/x-www-form-urlencoded', undefined, 202],
    ['nothing, as JSON', 'application/json', undefined, 202],
  ])('%s', async (_, type, body, expected) => {
    const bed = await openApiBed();
    const { status } = await bed.call('POST', '/api/v1/backups', {
      headers: { 'content-type': type },
      ...(body === undefined ? {} : { body }),
    });
    expect(status).toBe(expected);
    expect(bed.failed).toEqual([]);
  });

  test('a body in a content coding is 415, also where it is none', async () => {
    const bed = await openApiBed();
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const reply = await bed.call('POST', '/api/v1/backups', { headers, body: {} });
    expect({ status: reply.status, accepted: reply.headers['accept-encoding'] }).toEqual({
      status: 415,
      accepted: 'identity',
    });
  });

  test('what is no HTTP in the middle of an answer does not get into it', async () => {
    const { bed, url, stop } = await start();
    const archive = await bigArchive(bed);
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    const head = `Host: x\r\nAuthorization: Bearer ${ADMIN}\r\n\r\n`;
    socket.write(`GET /api/v1/backups/${archive}/download HTTP/1.1\r\n${head}`);
    // More comes than the buffers between the two hold, so that the answer waits for its reader.
    await once(socket, 'readable');
    socket.write('hello\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 200));
    let reply = '';
    socket.on('data', (chunk: Buffer) => (reply += chunk.toString('latin1'))).on('error', () => undefined);
    await once(socket, 'close');
    expect(reply).toMatch(/^HTTP\/1.1 200 /);
    expect(reply).not.toContain('HTTP/1.1 400');
    await stop();
  });

  test('two hundred at once are all answered', async () => {
    const { url, stop } = await start();
    const headers = { authorization: `Bearer ${ADMIN}` };
    const paths = ['/api/v1/backups', '/api/v1/jobs', '/api/v1/runs', '/health', '/metrics'];
    const replies = await Promise.all(
      Array.from({ length: 200 }, async (_, at) => {
        const reply = await fetch(`${url}${paths[at % paths.length]}`, { headers });
        await reply.text();
        return reply.status;
      }),
    );
    expect(new Set(replies)).toEqual(new Set([200]));
    await stop();
  });
});

test.each([
  ['PUT', '/api/v1/backups', 'GET, HEAD, POST'],
  ['PATCH', '/api/v1/backups/x', 'GET, HEAD, DELETE'],
  ['GET', '/api/v1/prune', 'POST'],
  ['POST', '/livez', 'GET, HEAD'],
  ['OPTIONS', '/health', 'GET, HEAD'],
  ['TRACE', '/api/v1/jobs', 'GET, HEAD'],
  ['PROPFIND', '/api/v1/jobs', 'GET, HEAD'],
])('%s %s is 405 and names what is allowed', async (method, path, allow) => {
  const bed = await openApiBed();
  const reply = await bed.call(method, path);
  expect({ status: reply.status, allow: reply.headers['allow'] }).toEqual({ status: 405, allow });
});

test('every answer has the headers that keep a browser from making more of it', async () => {
  const bed = await openApiBed();
  for (const url of ['/livez', '/api/v1/jobs', '/nothing']) {
    expect((await bed.call('GET', url)).headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
    });
  }
});

describe('a unix socket', () => {
  function ask(socketPath: string, path: string): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      request({ socketPath, path, headers: { authorization: `Bearer ${ADMIN}` } }, (reply) => {
        reply.resume();
        resolve(reply.statusCode);
      })
        .on('error', reject)
        .end();
    });
  }

  test('serves, with the mode that is asked for, and is gone afterwards', async () => {
    const socket = join(await temporaryDirectory(), 'http.sock');
    const { url, stop } = await start({ socket, socketMode: 0o600 });
    expect(url).toBe(`unix:${socket}`);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    expect(await ask(socket, '/api/v1/jobs')).toBe(200);
    await stop();
    expect(lstatSync(socket, { throwIfNoEntry: false })).toBeUndefined();
  });

  test('that a daemon which died left is replaced', async () => {
    const socket = join(await temporaryDirectory(), 'http.sock');
    const dead = createTcpServer().listen(socket);
    await once(dead, 'listening');
    // What closes the handle removes the file; a process that is killed does not.
    const { spawnSync } = await import('node:child_process');
    const script = `require('node:net').createServer().listen(${JSON.stringify(`${socket}2`)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    expect(lstatSync(`${socket}2`).isSocket()).toBe(true);
    const { stop } = await start({ socket: `${socket}2` });
    expect(await ask(`${socket}2`, '/livez')).toBe(200);
    await stop();
    dead.close();
  });

  test('on which somebody listens, or a file that is none, is left alone', async () => {
    const directory = await temporaryDirectory();
    const socket = join(directory, 'http.sock');
    const other = createTcpServer().listen(socket);
    await once(other, 'listening');
    await expect(start({ socket })).rejects.toMatchObject({
      code: 'ADDRESS_IN_USE',
      message: expect.stringContaining('another process listens') as string,
    });
    const file = join(directory, 'precious');
    writeFileSync(file, 'x');
    await expect(start({ socket: file })).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
    expect(statSync(file).size).toBe(1);
    expect(lstatSync(socket).isSocket()).toBe(true);
    chmodSync(file, 0o600);
    other.close();
  });
});
