import { Readable } from 'node:stream';
import type { ByteStream } from '../../domain/ports.ts';
import type { CompressionType, Manifest } from '../../domain/manifest.ts';
import { PROBLEM_TYPE, Refusal } from '../problem.ts';
import { isKnown, requestedRange } from './byte-range.ts';
import type { Operations } from './operations.ts';
import { filenameParams } from './parameters.ts';
import { type ApiRoute, defineRoute } from './route.ts';
import { problemSchema } from './schemas.ts';

/** How much of an archive waits in memory for a slow client. */
const BUFFER_BYTES = 256 * 1024;

const TYPE_OF = {
  none: 'application/octet-stream',
  gzip: 'application/gzip',
  zstd: 'application/zstd',
} as const satisfies Record<CompressionType, string>;

const TYPES = Object.values(TYPE_OF);

const HEADERS = {
  ETag: 'The SHA-256 of the archive.',
  'Accept-Ranges': '`bytes`',
  'Content-Disposition': 'The filename.',
};

/** The stored bytes of an archive, whole or from where a download broke off. */
export function downloadRoutes(operations: Operations): ApiRoute[] {
  return [
    defineRoute({
      method: 'GET',
      head: 'handled',
      path: '/api/v1/backups/:filename/download',
      operationId: 'downloadBackup',
      summary:
        'The archive itself; a `Range` resumes, `If-Range` with the ETag makes sure that it is the same.',
      scope: 'read',
      params: filenameParams,
      answers: {
        200: { description: 'All of it.', types: TYPES, headers: HEADERS },
        206: {
          description: 'The part that was asked for.',
          types: TYPES,
          headers: HEADERS,
        },
        416: {
          description: 'None of what was asked for is there.',
          schema: problemSchema,
          types: [PROBLEM_TYPE],
        },
        304: { description: 'As the `If-None-Match` of the request knows it.' },
      },
      faults: ['ARCHIVE_UNKNOWN', 'MANIFEST_CORRUPT', 'ARCHIVE_MISSING', 'ARCHIVE_CORRUPT'],
      work: async ({ params: { filename }, method, headers }) => {
        const manifest = await operations.backup(filename);
        const etag = `"${manifest.hash}"`;
        if (isKnown(headers, etag)) return { status: 304, headers: { etag } };
        const { size } = manifest;
        // Of a HEAD a range says nothing (RFC 9110, 14.2).
        const requested = method === 'HEAD' ? 'all' : requestedRange(headers, etag, size);
        if (requested === 'none') throw unsatisfiable(size);
        const range = requested === 'all' ? undefined : requested;
        const length = range === undefined ? size : range.last - range.first + 1;
        const stream = await begun(await operations.open(manifest, range));
        if (method === 'HEAD') stream.destroy();
        return {
          status: range === undefined ? 200 : 206,
          headers: {
            ...describing(manifest),
            etag,
            'content-length': String(length),
            ...(range === undefined ? {} : { 'content-range': `bytes ${range.first}-${range.last}/${size}` }),
          },
          ...(method === 'HEAD' ? {} : { body: stream }),
        };
      },
    }),
  ];
}

function describing({ filename, hash, compression, created_at }: Manifest): Record<string, string> {
  return {
    'content-type': TYPE_OF[compression],
    'accept-ranges': 'bytes',
    'content-disposition': `attachment; filename="${filename}"`,
    'last-modified': new Date(created_at).toUTCString(),
    // RFC 9530: of the whole, also where a part is sent.
    'repr-digest': `sha-256=:${Buffer.from(hash, 'hex').toString('base64')}:`,
  };
}

function unsatisfiable(size: number): Refusal {
  return new Refusal('USAGE', `the archive has ${size} bytes, and none of those that are asked for`, {
    status: 416,
    headers: { 'content-range': `bytes */${size}` },
  });
}

/**
 * Reads the first chunk, so that what cannot be read is told before the answer has begun. No generator, whose
 * `finally` is passed over when it is given up before it has begun: whoever goes away leaves no file open.
 */
async function begun(bytes: ByteStream): Promise<Readable> {
  const chunks = bytes[Symbol.asyncIterator]();
  let first: IteratorResult<Buffer> | undefined = await chunks.next();
  const all: AsyncIterable<Buffer> = {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const next = first ?? (await chunks.next());
        first = undefined;
        return next;
      },
      return: async () => {
        await chunks.return?.();
        return { done: true, value: undefined };
      },
    }),
  };
  return Readable.from(all, { objectMode: false, highWaterMark: BUFFER_BYTES });
}
