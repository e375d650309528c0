import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HttpServer } from '../../src/http/http-server.ts';
import { readTls, type TlsFiles } from '../../src/http/listen.ts';
import { openApiBed, ADMIN } from '../support/api-bed.ts';
import { requireProgram } from '../support/require-program.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

/** A certificate for localhost that is its own authority, and its key. */
function makeCertificate(directory: string, name: string): TlsFiles {
  requireProgram('openssl', 'openssl');
  const files = { cert: join(directory, `${name}.pem`), key: join(directory, `${name}.key`) };
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost', '-days', '2'];
  const kind = ['-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', files.key, '-out', files.cert], {
    stdio: 'ignore',
  });
  return files;
}

interface Answer {
  status: number | undefined;
  hsts: string | undefined;
}

function ask(port: string, ca: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${ADMIN}` };
    const options = {
      host: '127.0.0.1',
      servername: 'localhost',
      port,
      path: '/api/v1/jobs',
      ca: readFileSync(ca),
    };
    request({ ...options, headers, agent: false }, (reply) => {
      reply.resume();
      resolve({ status: reply.statusCode, hsts: reply.headers['strict-transport-security'] });
    })
      .on('error', reject)
      .end();
  });
}

test('HTTPS with certificate files, which are read again; one that is of no use leaves the old one', async () => {
  const directory = await temporaryDirectory();
  const first = makeCertificate(directory, 'first');
  const second = makeCertificate(directory, 'second');
  const used = { cert: join(directory, 'used.pem'), key: join(directory, 'used.key') };
  const install = ({ cert, key }: TlsFiles) => {
    copyFileSync(cert, used.cert);
    copyFileSync(key, used.key);
  };
  install(first);
  const bed = await openApiBed();
  const { api, ...options } = bed.options;
  const { promise, resolve } = Promise.withResolvers<string>();
  const server = new HttpServer(bed.observed, {
    ...options,
    host: '127.0.0.1',
    port: 0,
    socketMode: 0o600,
    tls: used,
    loadApi: async () => api,
    onListening: resolve,
  });
  const stop = new AbortController();
  const running = server.run(stop.signal);
  const { port, protocol } = new URL(await promise);
  expect(protocol).toBe('https:');
  expect(await ask(port, first.cert)).toEqual({ status: 200, hsts: 'max-age=31536000' });
  await expect(ask(port, second.cert)).rejects.toThrow('self-signed certificate');

  install(second);
  await server.reloadTls();
  expect((await ask(port, second.cert)).status).toBe(200);

  writeFileSync(used.key, 'no key');
  await expect(server.reloadTls()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  expect((await ask(port, second.cert)).status).toBe(200);
  stop.abort();
  await running;
});

test.each(['missing', 'malformed', 'of another key'])(
  'a certificate that is %s is told before anything listens',
  async (kind) => {
    const directory = await temporaryDirectory();
    const { cert } = makeCertificate(directory, 'one');
    const other = makeCertificate(directory, 'two');
    if (kind === 'malformed') writeFileSync(cert, 'no certificate');
    const files = { cert: kind === 'missing' ? join(directory, 'none.pem') : cert, key: other.key };
    await expect(readTls(files)).rejects.toMatchObject({ code: 'CONFIG_INVALID', path: 'http.tls' });
  },
);
