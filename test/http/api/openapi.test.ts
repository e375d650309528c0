import { Validator } from '@seriousme/openapi-schema-validator';
import { type AxiosResponse, isAxiosError } from 'axios';
import { OpenAPIClientAxios } from 'openapi-client-axios';
import { expect, test } from 'vitest';
import { waitFor } from '../../support/wait-for.ts';
import { readPage } from '../../support/markdown.ts';
import { ADMIN, type ApiBed, openApiBed } from '../../support/api-bed.ts';
import { AnswerCheck, type OpenApiDocument, operationsOf } from '../../support/openapi.ts';

async function documentOf(bed: ApiBed): Promise<OpenApiDocument> {
  return (await bed.call('GET', '/api/openapi.json')).body as unknown as OpenApiDocument;
}

test('the document is a valid OpenAPI 3.1', async () => {
  const bed = await openApiBed();
  const result = await new Validator().validate((await documentOf(bed)) as never);
  expect(result).toMatchObject({ valid: true });
});

test('a document that is none would be seen', async () => {
  const bed = await openApiBed();
  const document = await documentOf(bed);
  const broken = { ...document, paths: { '/x': { get: { responses: 7 } } } };
  expect(await new Validator().validate(broken as never)).toMatchObject({ valid: false });
});

test('docs/api.md has every operation, and no other', async () => {
  const page = readPage('docs/api.md');
  const bed = await openApiBed();
  const served = operationsOf(await documentOf(bed))
    .map(({ method, path }) => `${method} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`)
    // The second prefix is said once for all of them.
    .filter((call) => !call.includes('/configuracoes/'));
  const documented = [...page.matchAll(/`((?:GET|POST|DELETE) \/(?:api|sistema)\/[^`?]*)/g)].map(
    ([, call]) => call,
  );
  expect(new Set(documented)).toEqual(new Set(served));
});

test('a client made from the document drives every operation, and every answer is as documented', async () => {
  const bed = await openApiBed({
    config: (directory) => ({ http: { restoreTargets: [{ name: 'recovered', directory }] } }),
  });
  const url = await bed.server.listen({ host: '127.0.0.1', port: 0 });
  const document = await documentOf(bed);
  const check = new AnswerCheck(document);
  const api = new OpenAPIClientAxios({
    definition: document as never,
    withServer: { url },
    axiosConfigDefaults: { headers: { authorization: `Bearer ${ADMIN}` }, validateStatus: () => true },
  });
  const client = await api.init();
  const called = new Set<string>();
  /** Calls an operation by its id, and holds the answer against the document. */
  const call = async (
    operationId: string,
    status: number,
    parameters: Record<string, unknown> = {},
    body?: unknown,
    config: object = {},
  ): Promise<AxiosResponse> => {
    called.add(operationId);
    const operation = client[operationId as never] as unknown as (
      ...args: unknown[]
    ) => Promise<AxiosResponse>;
    const reply = await operation(parameters, body, config);
    const type = String(reply.headers['content-type'] ?? '');
    expect({ operationId, status: reply.status, data: reply.data as unknown }).toEqual({
      operationId,
      status,
      data: reply.data as unknown,
    });
    expect(check.faultOf(operationId, reply.status, type, reply.data)).toBeUndefined();
    return reply;
  };

  const first = await call('createBackup', 200, { wait: true }, { job: 'app' });
  const { filename } = (first.data as { runs: { archives: { filename: string }[] }[] }).runs[0]
    ?.archives[0] ?? {
    filename: '',
  };
  const begun = await call('createBackup', 202, {}, {});
  const { run } = (begun.data as { run: { run: string } }).run;
  await call('getRun', 200, { id: run });
  await call('createBackup', 404, {}, { job: 'nope' });
  await call('listBackups', 200, { limit: 1, type: 'files', order: 'newest' });
  await call('listBackups', 400, { limit: 0 });
  await call('getBackup', 200, { filename });
  await call('getBackup', 404, { filename: 'nope' });
  await call('getContents', 200, { filename });
  await call('verifyBackup', 200, { filename }, { level: 'checksum' });
  await call('pinBackup', 200, { filename });
  await call('deleteBackup', 409, { filename });
  await call('unpinBackup', 200, { filename });
  const download = await call('downloadBackup', 200, { filename }, undefined, {
    responseType: 'arraybuffer',
  });
  expect((download.data as Buffer).length).toBe(Number(download.headers['content-length']));
  await call('downloadBackup', 206, { filename }, undefined, { headers: { range: 'bytes=0-3' } });
  await call('drillBackup', 202, { filename });
  await call('drillBackup', 200, { filename, wait: true });
  await call('restoreBackup', 200, { filename, wait: true }, { confirm: filename, to: 'recovered' });
  await call('restoreBackup', 409, { filename, wait: true }, { confirm: filename, to: 'elsewhere' });
  await call('restoreBackup', 202, { filename }, { confirm: filename, to: 'recovered', dryRun: true });
  await call('prune', 200, {}, { dryRun: true });
  await call('listJobs', 200);
  await call('listRuns', 200, { limit: 2 });
  await call('getRun', 404, { id: '20200101_000000-000000' });
  await waitFor('the end of the first run', async () => {
    const { body } = await bed.call('GET', '/api/v1/jobs');
    return (body['jobs'] as { running: boolean }[]).every(({ running }) => !running);
  });
  for (const prefix of ['Sistema', 'ConfiguracoesSistema']) {
    const made = await call(`executar${prefix}`, 200);
    const { files } = made.data as { files: { filename: string } };
    await call(`listar${prefix}`, 200, { type: 'files' });
    await call(`verificar${prefix}`, 200, { filename: files.filename });
    await call(`deletar${prefix}`, 200, { filename: files.filename });
    await call(`limpar${prefix}`, 200);
  }
  await call('deleteBackup', 200, { filename });
  await call('getOpenApi', 200);
  const cut = new AbortController();
  const stream = await call('streamEvents', 200, {}, undefined, {
    responseType: 'stream',
    signal: cut.signal,
  });
  (stream.data as NodeJS.ReadableStream).on('error', (error) => expect(isAxiosError(error)).toBe(true));
  cut.abort();

  expect([...called].toSorted()).toEqual(
    operationsOf(document)
      .map(({ operationId }) => operationId)
      .toSorted(),
  );
  expect(bed.failed).toEqual([]);
});
