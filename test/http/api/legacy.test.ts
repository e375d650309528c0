import { describe, expect, test } from 'vitest';
import type { Manifest } from '../../../src/domain/manifest.ts';
import { openApiBed } from '../../support/api-bed.ts';

const PREFIXES = ['/sistema/backup', '/configuracoes/sistema/backup'];

function files(name: string) {
  return { type: 'files', name, directories: ['./tree'] };
}

describe.each(PREFIXES)('the old routes under %s', (prefix) => {
  test('answer with exactly the fields they had', async () => {
    const bed = await openApiBed({
      config: () => ({
        jobs: { app: { schedule: '0 0 29 2 *', sources: [files('first'), files('second')] } },
      }),
    });
    const made = await bed.call('POST', `${prefix}/executar`);
    expect(made.status).toBe(200);
    expect(Object.keys(made.body).toSorted()).toEqual(['archives', 'database', 'errors', 'files', 'success']);
    expect(made.body).toMatchObject({ database: null, success: true, errors: [], files: { type: 'files' } });
    const newest = made.body['files'] as Manifest;
    const others = made.body['archives'] as Manifest[];
    expect(others).toHaveLength(1);
    expect([newest, ...others].map(({ source }) => source).toSorted()).toEqual(['first', 'second']);
    expect(newest).toEqual(await bed.app.context.catalogue.read(newest.filename));

    const list = await bed.call('GET', `${prefix}/listar`);
    expect(Object.keys(list.body)).toEqual(['success', 'backups', 'count']);
    expect(list.body).toMatchObject({ success: true, count: 2 });
    expect(list.body.backups).toEqual(bed.app.context.catalogue.list());
    expect((await bed.call('GET', `${prefix}/listar?type=database`)).body).toEqual({
      success: true,
      backups: [],
      count: 0,
    });
    // jQuery adds a number against caches.
    expect((await bed.call('GET', `${prefix}/listar?type=files&_=1732000000000`)).body).toMatchObject({
      count: 2,
    });

    const at = newest.filename;
    expect((await bed.call('POST', `${prefix}/verificar/${at}`)).body).toEqual({
      success: true,
      valid: true,
    });
    expect((await bed.call('DELETE', `${prefix}/deletar/${at}`)).body).toEqual({ success: true });
    expect((await bed.call('POST', `${prefix}/limpar`)).body).toEqual({ success: true, removed_count: 0 });
    expect((await bed.call('GET', `${prefix}/listar`)).body).toMatchObject({ count: 1 });
  });

  test('of a run that fails tell what went wrong', async () => {
    const bed = await openApiBed({
      config: () => ({
        jobs: {
          app: {
            schedule: '0 0 29 2 *',
            sources: [files('tree'), { type: 'files', name: 'gone', directories: ['./gone'] }],
          },
        },
      }),
    });
    const { status, body } = await bed.call('POST', `${prefix}/executar`);
    expect({ status, body }).toMatchObject({
      status: 200,
      body: {
        success: false,
        files: { source: 'tree' },
        errors: [{ code: 'SOURCE_MISSING', source: 'gone' }],
      },
    });
  });

  test.each([
    ['GET', '/executar', 405],
    ['POST', '/listar', 405],
    ['GET', '/listar?type=tar', 400],
    ['DELETE', '/deletar/..%2f..%2fconfig.json', 404],
    ['DELETE', '/deletar/x', 404],
    ['POST', '/verificar/%2e%2e%2fx', 404],
    ['DELETE', '/deletar/', 404],
  ])('%s %s is %d', async (method, path, expected) => {
    const bed = await openApiBed();
    const { status, headers } = await bed.call(method, `${prefix}${path}`);
    expect({ status, type: headers['content-type'] }).toEqual({
      status: expected,
      type: expect.stringContaining('application/problem+json') as string,
    });
  });

  test('need a token', async () => {
    const bed = await openApiBed();
    expect((await bed.call('GET', `${prefix}/listar`, { token: '' })).status).toBe(401);
  });
});

test('of a database and its roles the database is the newest, and the roles are a further archive', async () => {
  const { byType } = await import('../../../src/http/api/legacy-routes.ts');
  const archive = (type: string, source: string, timestamp: string) =>
    ({ type, source, timestamp }) as Manifest;
  const old = archive('database', 'app', '20261127_010000');
  const app = archive('database', 'app', '20261127_020000');
  const roles = archive('database', 'app_globals', '20261127_020001');
  const tree = archive('files', 'tree', '20261127_020000');
  const run = { job: 'app', run: 'x', outcome: 'succeeded' as const, errors: [] };
  expect(
    byType([
      { ...run, archives: [app, roles] },
      { ...run, archives: [old, tree] },
    ]),
  ).toEqual({
    database: app,
    files: tree,
    archives: [roles, old],
    success: true,
    errors: [],
  });
});
