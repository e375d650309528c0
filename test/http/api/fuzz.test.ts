import { copyFileSync, writeFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Manifest } from '../../../src/domain/manifest.ts';
import { type ApiBed, openApiBed } from '../../support/api-bed.ts';
import {
  AnswerCheck,
  type OpenApiDocument,
  operationsOf,
  type PlacedOperation,
} from '../../support/openapi.ts';

type Json = Record<string, unknown>;

/** Over all operations: each is called a few dozen times. */
const RUNS = 600;
/** They take a backup whatever is sent, or restore one; fewer of them are enough. */
const SLOW = /^(?:createBackup|executar|drillBackup)/;
const NASTY = [
  '',
  '.',
  '..',
  '../x',
  '%2e%2e%2f',
  '\0',
  '\n',
  '💾',
  'null',
  '-1',
  '__proto__',
  'a'.repeat(300),
];

/** What a schema allows, and now and then what it does not. */
function valuesOf(schema: Json): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 5, arbitrary: fitting(schema) },
    { weight: 1, arbitrary: fc.anything({ maxDepth: 1 }) },
  );
}

function fitting(schema: Json): fc.Arbitrary<unknown> {
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]));
  if (Array.isArray(schema['anyOf'])) return fc.oneof(...(schema['anyOf'] as Json[]).map(fitting));
  switch (schema['type']) {
    case 'boolean':
      return fc.boolean();
    case 'integer':
      return fc.integer({ min: Number(schema['minimum'] ?? -5), max: Number(schema['maximum'] ?? 5) });
    case 'array':
      return fc.array(valuesOf(schema['items'] as Json), { maxLength: 3 });
    case 'object': {
      const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Json>);
      const known = Object.fromEntries(properties.map(([name, value]) => [name, valuesOf(value)]));
      const requiredKeys = (schema['required'] ?? []) as string[];
      return fc.record(known, { requiredKeys: requiredKeys as never[] });
    }
    case 'string':
      return typeof schema['pattern'] === 'string'
        ? fc.stringMatching(new RegExp(schema['pattern']))
        : fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom(...NASTY));
    default:
      return fc.anything({ maxDepth: 1 });
  }
}

interface Request {
  operationId: string;
  method: string;
  url: string;
  body: unknown;
  headers: Record<string, string>;
}

function requestsTo(operation: PlacedOperation, filenames: readonly string[]): fc.Arbitrary<Request> {
  const { parameters = [], requestBody } = operation;
  const real = fc.constantFrom(...filenames);
  const inPath = fc.oneof(
    { weight: 3, arbitrary: real },
    fc.constantFrom(...NASTY),
    fc.string({ unit: 'binary', maxLength: 30 }),
  );
  const queries = parameters.filter((parameter) => parameter.in === 'query');
  const query = fc.record(Object.fromEntries(queries.map(({ name, schema }) => [name, valuesOf(schema)])), {
    requiredKeys: [],
  });
  const more = fc.oneof(
    { weight: 6, arbitrary: fc.constant({}) },
    fc.dictionary(fc.string(), fc.string(), { maxKeys: 1 }),
  );
  const schema = requestBody?.content['application/json']?.schema;
  const body =
    schema === undefined ? fc.constantFrom(undefined, {}, [], 1) : fc.oneof(valuesOf(schema), fc.json());
  const headers = fc.record(
    {
      range: fc.oneof(
        fc.constantFrom('bytes=0-', 'bytes=-0', 'bytes=9-3', 'bytes=0-1,4-5'),
        fc.stringMatching(/^[\w=,-]{0,20}$/),
      ),
      'if-none-match': fc.constantFrom('*', '"x"', ''),
      'content-type': fc.constantFrom('application/json', 'application/json; charset=utf-8'),
    },
    { requiredKeys: [] },
  );
  return fc.record({ name: inPath, query, more, body, headers }).map((made) => {
    const path = operation.path.replace(/\{\w+\}/, () => encodeURIComponent(made.name.toWellFormed()));
    const pairs = Object.entries({ ...made.query, ...made.more }).map(
      ([key, value]) => `${encodeURIComponent(key.toWellFormed())}=${encodeURIComponent(textOf(value))}`,
    );
    const { operationId, method } = operation;
    return { operationId, method, url: `${path}?${pairs.join('&')}`, body: made.body, headers: made.headers };
  });
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value.toWellFormed();
  return (
    JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? 0 : part)) ?? ''
  ).toWellFormed();
}

async function send(bed: ApiBed, { method, url, body, headers }: Request) {
  const isText = typeof body === 'string';
  return await bed.call(method, url, {
    ...(body === undefined ? {} : { body: isText ? body : textOf(body) }),
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
  });
}

/** The same archive under further names, since some of what is sent deletes. */
function copies({ app }: ApiBed, manifest: Manifest, count: number): string[] {
  const { location } = app.context;
  return Array.from({ length: count }, (_, at) => {
    const timestamp = `20250101_00${String(at).padStart(2, '0')}00`;
    const filename = `files_backup_tree_${timestamp}.tar.gz`;
    copyFileSync(location.archivePath('files', manifest.filename), location.archivePath('files', filename));
    writeFileSync(location.manifestPath(filename), JSON.stringify({ ...manifest, filename, timestamp }));
    return filename;
  });
}

test('whatever is sent to whichever operation, the answer is one that is documented, and never a fault of ours', async () => {
  const bed = await openApiBed({
    config: (directory) => ({
      http: { restoreTargets: [{ name: 'recovered', directory: `${directory}/recovered` }] },
    }),
  });
  const filenames = [...copies(bed, await bed.backup(), 30), 'files_backup_tree_20200101_000000.tar.gz'];
  const document = (await bed.call('GET', '/api/openapi.json')).body as unknown as OpenApiDocument;
  const check = new AnswerCheck(document);
  // A stream has no end to wait for; its test is elsewhere.
  const operations = operationsOf(document).filter(({ operationId }) => operationId !== 'streamEvents');
  const tried = new Set<string>();
  let accepted = 0;
  const requests = fc.oneof(
    ...operations.map((operation) => ({
      weight: SLOW.test(operation.operationId) ? 1 : 4,
      arbitrary: requestsTo(operation, filenames),
    })),
  );
  await fc.assert(
    fc.asyncProperty(requests, async (request) => {
      const reply = await send(bed, request);
      const { operationId } = request;
      tried.add(operationId);
      if (reply.status < 300) accepted += 1;
      expect({ status: reply.status, failed: bed.failed }).toMatchObject({ failed: [] });
      expect(reply.status).not.toBe(500);
      // What is no path of this operation, once it is taken apart, is answered by another one or by none.
      if ([404, 405].includes(reply.status)) return;
      const type = reply.headers['content-type'] as string | undefined;
      const isJson = type?.includes('json') === true;
      expect(
        check.faultOf(operationId, reply.status, type ?? '', isJson ? reply.body : undefined),
      ).toBeUndefined();
    }),
    { numRuns: RUNS },
  );
  // Every operation was tried, and what is sent reaches further than the first check.
  expect(tried.size).toBe(operations.length);
  expect(accepted).toBeGreaterThan(RUNS / 20);
  expect((await bed.call('GET', '/api/v1/jobs')).status).toBe(200);
});
