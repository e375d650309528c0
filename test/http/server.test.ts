import { createServer as createTcpServer } from 'node:net';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import type { HealthReport } from '../../src/domain/health.ts';
import { HttpServer } from '../../src/http/http-server.ts';
import { createServer, type Observed } from '../../src/http/server.ts';

const HEALTHY: HealthReport = {
  status: 'ok',
  version: '1',
  uptime: 1,
  problems: [],
  warnings: [],
  jobs: [],
  series: [],
};
const FINE: Observed = {
  notReady: async () => undefined,
  health: async () => HEALTHY,
  metrics: async () => ({ contentType: 'text/plain; version=0.0.4; charset=utf-8', text: 'cofre_up 1\n' }),
  failed: () => undefined,
};
const BROKEN: Observed = {
  notReady: async () => {
    throw new Error('the disk went away');
  },
  health: async () => {
    throw new BackupError('IO_FAILED', 'the disk went away');
  },
  metrics: async () => {
    throw new TypeError('x is not a function');
  },
  failed: () => undefined,
};
const ENDPOINT = { host: '127.0.0.1', socketMode: 0o600 };
const ROUTES = ['/livez', '/readyz', '/health', '/metrics'] as const;

function get(url: string, observed: Observed = FINE, method: 'GET' | 'HEAD' | 'POST' | 'DELETE' = 'GET') {
  return createServer(observed).inject({ method, url });
}

describe('the routes', () => {
  test.each(ROUTES)('%s answers 200 when all is well', async (url) => {
    const { statusCode, headers } = await get(url);
    expect(statusCode).toBe(200);
    expect(headers['cache-control']).toBe('no-store');
  });

  test('/livez and /readyz say ok, /health is the report, /metrics the text with its type', async () => {
    expect((await get('/livez')).json()).toEqual({ status: 'ok' });
    expect((await get('/readyz')).json()).toEqual({ status: 'ok' });
    expect((await get('/health')).json()).toEqual(HEALTHY);
    const metrics = await get('/metrics');
    expect(metrics.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(metrics.body).toBe('cofre_up 1\n');
  });

  test('/readyz is 503 with the reason when not ready; /livez does not care', async () => {
    const starting: Observed = { ...FINE, notReady: async () => 'starting or stopping' };
    const { statusCode, body } = await get('/readyz', starting);
    expect(statusCode).toBe(503);
    expect(JSON.parse(body)).toMatchObject({ reason: 'starting or stopping' });
    expect((await get('/livez', starting)).statusCode).toBe(200);
  });

  test('/health is 503 with the whole report when something is wrong', async () => {
    const report: HealthReport = { ...HEALTHY, status: 'failing', problems: ['job app is overdue'] };
    const { statusCode, body } = await get('/health', { ...FINE, health: async () => report });
    expect(statusCode).toBe(503);
    expect(JSON.parse(body)).toEqual(report);
    expect((await get('/livez', BROKEN)).statusCode).toBe(200);
  });

  test.each(ROUTES)('HEAD %s answers like GET, without a body', async (url) => {
    const { statusCode, body } = await get(url, FINE, 'HEAD');
    expect(statusCode).toBe(200);
    expect(body).toBe('');
  });

  test.each(['/', '/nothing', '/health/x', '/../etc/passwd', '/metrics%00'])(
    '%s is 404, as JSON',
    async (url) => {
      const { statusCode, headers } = await get(url);
      expect(statusCode).toBe(404);
      expect(headers['content-type']).toContain('application/problem+json');
    },
  );

  test.each(ROUTES)('another method at %s is refused', async (url) => {
    for (const method of ['POST', 'DELETE'] as const) {
      const { statusCode } = await get(url, FINE, method);
      expect([404, 405]).toContain(statusCode);
    }
  });

  test.each(['/readyz', '/health', '/metrics'])(
    'an error behind %s is 500, as JSON without a stack',
    async (url) => {
      const failed: BackupError[] = [];
      const { statusCode, headers, body } = await get(url, {
        ...BROKEN,
        failed: (error) => failed.push(error),
      });
      expect(statusCode).toBe(500);
      expect(failed).toHaveLength(1);
      const { code, message } = failed[0] ?? {};
      expect(JSON.parse(body)).toMatchObject({ status: 500, code, detail: message, instance: url });
      expect(headers['content-type']).toContain('application/problem+json');
      expect(body).not.toMatch(/\bat .*\.ts|node_modules|stack/);
    },
  );
});

describe('the server', () => {
  /** A server that runs; resolves to its address. */
  async function start(signal: AbortSignal, port = 0) {
    const { promise, resolve } = Promise.withResolvers<string>();
    const server = new HttpServer(FINE, { ...ENDPOINT, port, onListening: resolve });
    const running = server.run(signal);
    running.catch(() => undefined);
    return { running, url: await Promise.race([promise, running.then(() => 'ended')]) };
  }

  test('listens until it is stopped, and an idle connection does not hold it up', async () => {
    const stop = new AbortController();
    const { running, url } = await start(stop.signal);
    const response = await fetch(`${url}/livez`);
    expect(await response.json()).toEqual({ status: 'ok' });
    stop.abort();
    await running;
    await expect(fetch(`${url}/livez`)).rejects.toThrow();
  });

  test('at an address that is taken throws ADDRESS_IN_USE, naming it', async () => {
    const other = createTcpServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const server = new HttpServer(FINE, { ...ENDPOINT, port, onListening: () => undefined });
    await expect(server.run(new AbortController().signal)).rejects.toMatchObject({
      code: 'ADDRESS_IN_USE',
      message: expect.stringContaining(`127.0.0.1:${port}`) as string,
    });
    other.close();
  });

  test('told to stop before it began ends at once', async () => {
    const { running } = await start(AbortSignal.abort());
    await expect(running).resolves.toBeUndefined();
  });
});
