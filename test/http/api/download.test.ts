import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, readlinkSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ADMIN, type ApiBed, openApiBed } from '../../support/api-bed.ts';
import { waitFor } from '../../support/wait-for.ts';

const auth = { authorization: `Bearer ${ADMIN}` };

interface Bed {
  bed: ApiBed;
  filename: string;
  hash: string;
  path: string;
  bytes: Buffer;
  url: string;
}

/** A server that listens, and an archive of some megabytes which compress to nothing less. */
async function openBed(): Promise<Bed> {
  const bed = await openApiBed({
    config: () => ({
      compression: 'none',
    }),
  });
  const data = createHash('shake256', { outputLength: 20_000_000 }).update('seed').digest();
  writeFileSync(join(bed.directory, 'tree/data.bin'), data);
  const { filename, hash } = await bed.backup();
  const path = bed.app.context.location.archivePath('files', filename);
  const base = await bed.server.listen({ host: '127.0.0.1', port: 0 });
  return {
    bed,
    filename,
    hash,
    path,
    bytes: readFileSync(path),
    url: `${base}/api/v1/backups/${filename}/download`,
  };
}

/** How many files of the location this process has open. */
function openFiles(path: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
    } catch {
      return false;
    }
  }).length;
}

test('an archive is downloaded as it is, with what is needed to check and to resume it', async () => {
  const { filename, hash, bytes, url } = await openBed();
  const reply = await fetch(url, { headers: auth });
  expect(reply.status).toBe(200);
  expect(Object.fromEntries(reply.headers)).toMatchObject({
    etag: `"${hash}"`,
    'accept-ranges': 'bytes',
    'content-length': String(bytes.length),
    'content-disposition': `attachment; filename="${filename}"`,
    'content-type': 'application/octet-stream',
    'repr-digest': `sha-256=:${Buffer.from(hash, 'hex').toString('base64')}:`,
  });
  expect(Buffer.from(await reply.arrayBuffer()).equals(bytes)).toBe(true);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(hash);
});

test('one that broke off goes on where it was, unless it is another archive by now', async () => {
  const { hash, bytes, url } = await openBed();
  const from = 12_345_678;
  const range = { ...auth, range: `bytes=${from}-` };
  const rest = await fetch(url, { headers: { ...range, 'if-range': `"${hash}"` } });
  expect(rest.status).toBe(206);
  expect(rest.headers.get('content-range')).toBe(`bytes ${from}-${bytes.length - 1}/${bytes.length}`);
  expect(Buffer.from(await rest.arrayBuffer()).equals(bytes.subarray(from))).toBe(true);
  const whole = await fetch(url, { headers: { ...range, 'if-range': '"another"' } });
  expect({ status: whole.status, length: whole.headers.get('content-length') }).toEqual({
    status: 200,
    length: String(bytes.length),
  });
  await whole.body?.cancel();
  const beyond = await fetch(url, { headers: { ...auth, range: `bytes=${bytes.length}-` } });
  expect(beyond.status).toBe(416);
  expect(beyond.headers.get('content-range')).toBe(`bytes */${bytes.length}`);
  expect(await beyond.json()).toMatchObject({ status: 416, code: 'USAGE' });
  expect((await fetch(url, { headers: { ...auth, 'if-none-match': `"${hash}"` } })).status).toBe(304);
});

test('HEAD says how large it is, and leaves no file open', async () => {
  const { bed, bytes, url } = await openBed();
  for (const headers of [auth, { ...auth, range: 'bytes=0-3' }]) {
    const reply = await fetch(url, { method: 'HEAD', headers });
    expect({ status: reply.status, length: reply.headers.get('content-length') }).toEqual({
      status: 200,
      length: String(bytes.length),
    });
  }
  await waitFor('the file to be closed', () => openFiles(bed.app.context.location.root) === 0);
});

test('whoever goes away in the middle leaves no file open', async () => {
  const { bed, url } = await openBed();
  const root = bed.app.context.location.root;
  const reply = await new Promise<IncomingMessage>((resolve) => get(url, { headers: auth }, resolve));
  await waitFor('the file to be open', () => openFiles(join(root, 'files')) > 0);
  reply.destroy();
  await waitFor('the file to be closed', () => openFiles(join(root, 'files')) === 0);
  expect(bed.failed).toEqual([]);
});

test('one that is deleted while somebody downloads it slowly comes to its end all the same', async () => {
  const { bed, filename, bytes, url } = await openBed();
  const reply = await new Promise<IncomingMessage>((resolve) => get(url, { headers: auth }, resolve));
  reply.pause();
  expect((await bed.call('DELETE', `/api/v1/backups/${filename}`)).status).toBe(200);
  const chunks: Buffer[] = [];
  for await (const chunk of reply) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
});

test('one whose file is gone, or is not as long as it was, is not sent', async () => {
  const { bed, path, url } = await openBed();
  truncateSync(path, 1000);
  const short = await fetch(url, { headers: auth });
  expect({ status: short.status, body: await short.json() }).toMatchObject({
    status: 422,
    body: { code: 'ARCHIVE_CORRUPT' },
  });
  rmSync(path);
  const gone = await fetch(url, { headers: auth });
  expect({ status: gone.status, body: await gone.json() }).toMatchObject({
    status: 410,
    body: { code: 'ARCHIVE_MISSING' },
  });
  expect(bed.failed).toEqual([]);
});
