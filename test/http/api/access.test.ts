import { describe, expect, test } from 'vitest';
import { BackupError } from '../../../src/domain/errors.ts';
import { SCOPES } from '../../../src/domain/scopes.ts';
import { FailedAttempts } from '../../../src/http/failed-attempts.ts';
import { createServer } from '../../../src/http/server.ts';
import { Tokens } from '../../../src/http/tokens.ts';
import { ADMIN, openApiBed, tokenOf } from '../../support/api-bed.ts';
import { type OpenApiDocument, operationsOf, type PlacedOperation } from '../../support/openapi.ts';

const OPEN = ['/livez', '/readyz', '/health', '/metrics'];

function urlOf({ path }: PlacedOperation): string {
  return path.replaceAll(/\{\w+\}/g, 'files_backup_tree_20200101_000000.tar.gz');
}

describe('without a valid token', () => {
  test.each([
    ['none', {}],
    ['an empty one', { authorization: 'Bearer ' }],
    ['a wrong one', { authorization: 'Bearer wrong-0123456789abcdef' }],
    ['the beginning of one', { authorization: `Bearer ${ADMIN.slice(0, -1)}` }],
    ['one with more behind', { authorization: `Bearer ${ADMIN}x` }],
    ['two of them', { authorization: `Bearer ${ADMIN} ${ADMIN}` }],
    ['another scheme', { authorization: `Basic ${Buffer.from(`admin:${ADMIN}`).toString('base64')}` }],
    ['the bare token', { authorization: ADMIN }],
  ])('(%s) no operation answers, and none of them says more than that', async (_, headers) => {
    const bed = await openApiBed();
    const document = (await bed.call('GET', '/api/openapi.json')).body as unknown as OpenApiDocument;
    // Few enough for the limit on wrong tokens.
    for (const operation of operationsOf(document).slice(0, 9)) {
      const reply = await bed.call(operation.method, urlOf(operation), { token: '', headers });
      expect({ id: operation.operationId, status: reply.status }).toMatchObject({ status: 401 });
      expect(reply.problem).toMatchObject({ code: 'UNAUTHENTICATED' });
      expect(reply.headers['www-authenticate']).toContain('Bearer');
      expect(reply.text).not.toContain(bed.directory);
    }
  });

  test('every operation of the document is closed', async () => {
    const bed = await openApiBed();
    const document = (await bed.call('GET', '/api/openapi.json')).body as unknown as OpenApiDocument;
    const operations = operationsOf(document);
    expect(operations.length).toBeGreaterThan(20);
    for (const operation of operations) {
      expect((await bed.call(operation.method, urlOf(operation), { token: '' })).status).toBe(401);
    }
  });

  test('a body is not even read', async () => {
    const bed = await openApiBed();
    const body = { job: 'x'.repeat(1_000_000) };
    expect((await bed.call('POST', '/api/v1/backups', { token: '', body })).status).toBe(401);
  });

  test('the four open routes answer', async () => {
    const bed = await openApiBed();
    for (const path of OPEN) expect((await bed.call('GET', path, { token: '' })).status).toBe(200);
  });
});

describe('a token', () => {
  test('is good for the operations of its scopes, and for no other', async () => {
    const bed = await openApiBed();
    const document = (await bed.call('GET', '/api/openapi.json')).body as unknown as OpenApiDocument;
    const NEEDED: Record<string, string> = {
      createBackup: 'operate',
      verifyBackup: 'operate',
      pinBackup: 'operate',
      unpinBackup: 'operate',
      drillBackup: 'operate',
      deleteBackup: 'delete',
      prune: 'delete',
      restoreBackup: 'restore',
      executar: 'operate',
      verificar: 'operate',
      deletar: 'delete',
      limpar: 'delete',
    };
    for (const operation of operationsOf(document)) {
      const { operationId } = operation;
      // A stream has no end; that it is open to `read` is seen where it is read.
      if (operationId === 'streamEvents') continue;
      const needed = NEEDED[operationId.replace(/(Configuracoes)?Sistema$/, '')] ?? 'read';
      for (const scope of SCOPES) {
        const { status, problem } = await bed.call(operation.method, `${urlOf(operation)}?wait=true`, {
          token: tokenOf(scope),
        });
        const isForbidden = status === 403;
        expect({ operationId, scope, isForbidden }).toEqual({
          operationId,
          scope,
          isForbidden: scope !== needed,
        });
        const told = isForbidden ? { code: problem.code, hint: problem.hint } : undefined;
        const hint = `Use a token with the scope \`${needed}\`.`;
        expect(told).toEqual(isForbidden ? { code: 'FORBIDDEN', hint } : undefined);
      }
    }
  });

  test('is compared as a whole, and replaced at once', () => {
    const tokens = new Tokens([
      { name: 'a', token: 'a'.repeat(20), scopes: ['read'] },
      { name: 'b', token: 'b'.repeat(20), scopes: ['delete'] },
    ]);
    expect(tokens.identify('b'.repeat(20))).toEqual({ name: 'b', scopes: ['delete'] });
    expect(tokens.identify('')).toBeUndefined();
    expect(tokens.identify('b'.repeat(19))).toBeUndefined();
    tokens.replace([{ name: 'c', token: 'c'.repeat(20), scopes: ['read'] }]);
    expect(tokens.identify('b'.repeat(20))).toBeUndefined();
    expect(tokens.identify('c'.repeat(20))?.name).toBe('c');
    expect(tokens.replace([{ name: 'c', token: 'c'.repeat(20), scopes: ['read'] }])).toBe(false);
    expect(tokens.replace([{ name: 'c', token: 'c'.repeat(20), scopes: ['delete'] }])).toBe(true);
  });
});

describe('wrong tokens', () => {
  const wrong = { token: 'wrong-0123456789abcdef' };

  test('are answered with 429 after ten of them, also a right one, and only at that address', async () => {
    const bed = await openApiBed({ config: () => ({ http: { trustedProxies: ['127.0.0.1'] } }) });
    const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });
    for (let attempt = 0; attempt < 10; attempt += 1) {
      expect((await bed.call('GET', '/api/v1/jobs', { ...wrong, ...from('192.0.2.1') })).status).toBe(401);
    }
    for (const token of [wrong.token, ADMIN]) {
      const { status, headers, problem } = await bed.call('GET', '/api/v1/jobs', {
        token,
        ...from('192.0.2.1'),
      });
      expect({ status, code: problem.code }).toEqual({ status: 429, code: 'RATE_LIMITED' });
      expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    }
    expect((await bed.call('GET', '/api/v1/jobs', from('192.0.2.2'))).status).toBe(200);
    // Whoever has none guesses nothing, and probes go on.
    expect((await bed.call('GET', '/api/v1/jobs', { token: '', ...from('192.0.2.1') })).status).toBe(401);
    expect((await bed.call('GET', '/health', { ...wrong, ...from('192.0.2.1') })).status).toBe(200);
  });

  test('also where nothing needs a token: it must not tell whether a guess is right', async () => {
    const bed = await openApiBed();
    for (let attempt = 0; attempt < 10; attempt += 1) await bed.call('GET', '/health', wrong);
    expect((await bed.call('GET', '/api/v1/jobs')).status).toBe(429);
  });

  test('a header of a client that is no trusted proxy says nothing of its address', async () => {
    const bed = await openApiBed();
    for (let attempt = 0; attempt < 10; attempt += 1) {
      await bed.call('GET', '/api/v1/jobs', {
        ...wrong,
        headers: { 'x-forwarded-for': `192.0.2.${attempt}` },
      });
    }
    expect((await bed.call('GET', '/api/v1/jobs')).status).toBe(429);
  });

  test('are forgotten after a minute, counted by network, and take bounded memory', () => {
    let now_ms = 0;
    const attempts = new FailedAttempts(() => now_ms);
    for (let attempt = 0; attempt < 10; attempt += 1) attempts.note(`2001:db8:1:2::${attempt}`);
    expect(attempts.secondsToWait('2001:db8:1:2:ffff::1')).toBe(60);
    expect(attempts.secondsToWait('2001:db8:1:3::1')).toBe(0);
    now_ms = 59_001;
    expect(attempts.secondsToWait('2001:db8:1:2::9')).toBe(1);
    now_ms = 60_000;
    expect(attempts.secondsToWait('2001:db8:1:2::9')).toBe(0);
    for (let attempt = 0; attempt < 30_000; attempt += 1)
      attempts.note(`10.${attempt >> 8}.${attempt & 255}.1`);
    expect(attempts.size).toBe(10_000);
  });
});

describe('what is open', () => {
  test('tells whoever has no token states and times, and no details', async () => {
    const bed = await openApiBed({
      config: (directory) => ({
        jobs: {
          app: {
            schedule: '0 0 29 2 *',
            sources: [{ type: 'files', name: 'tree', directories: [`${directory}/not-there`] }],
          },
        },
      }),
    });
    await bed.call('POST', '/api/v1/backups?wait=true');
    const open = await bed.call('GET', '/health', { token: '' });
    expect(open.status).toBe(503);
    expect(open.body).toMatchObject({
      status: 'failing',
      problems: ['the last run of job app failed'],
      jobs: [{ job: 'app', last_outcome: 'failed' }],
    });
    expect(open.text).not.toContain(bed.directory);
    expect((await bed.call('GET', '/health')).body).toMatchObject({ status: 'failing' });
  });

  test('details need the scope `read`: a scraper has none of them', async () => {
    const bed = await openApiBed();
    const detail = `${bed.directory} is gone`;
    const broken = new BackupError('LOCATION_UNUSABLE', detail);
    const server = createServer(
      {
        ...bed.observed,
        notReady: async () => broken,
        health: async () => ({ ...(await bed.observed.health()), problems: [detail] }),
        metrics: () => Promise.reject(broken),
      },
      bed.options,
    );
    const isTold = async (url: string, token: string) =>
      (await server.inject({ url, headers: { authorization: `Bearer ${token}` } })).body.includes(detail);
    for (const url of ['/health', '/readyz', '/metrics']) {
      expect({ url, told: await isTold(url, tokenOf('read')) }).toEqual({ url, told: true });
      expect({ url, told: await isTold(url, tokenOf('metrics')) }).toEqual({ url, told: false });
    }
    expect(await isTold('/health', tokenOf('operate'))).toBe(false);
    await server.close();
  });

  test('metrics may need a token, with a scope of their own or `read`', async () => {
    const bed = await openApiBed({ config: () => ({ http: { metrics: 'token' } }) });
    const statuses = await Promise.all(
      ['', tokenOf('operate'), tokenOf('metrics'), tokenOf('read')].map(
        async (token) => (await bed.call('GET', '/metrics', { token })).status,
      ),
    );
    expect(statuses).toEqual([401, 403, 200, 200]);
  });

  test('without any token there is nothing else', async () => {
    const bed = await openApiBed();
    const server = createServer({
      notReady: async () => undefined,
      health: () => bed.app.status.health(bed.app.jobs, new Set()),
      metrics: async () => ({ contentType: 'text/plain', text: '' }),
      failed: () => undefined,
    });
    for (const url of ['/api/v1/backups', '/api/openapi.json', '/sistema/backup/listar', '/api']) {
      const reply = await server.inject({ url, headers: { authorization: `Bearer ${ADMIN}` } });
      expect({ url, status: reply.statusCode }).toEqual({ url, status: 404 });
    }
  });
});
