import { once } from 'node:events';
import { chmod, lstat, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { BackupError } from '../domain/errors.ts';

/** Where it is listened: on a unix socket where one is given, else on an address. */
export interface Endpoint {
  host: string;
  /** 0: any free one. */
  port: number;
  socket?: string;
  /** Mode bits of the socket. */
  socketMode: number;
}

export interface TlsFiles {
  cert: string;
  key: string;
}

/** Returns what is listened on, for people. Throws ADDRESS_IN_USE. */
export async function listen(server: FastifyInstance, endpoint: Endpoint): Promise<string> {
  const { host, port, socket, socketMode } = endpoint;
  try {
    if (socket === undefined) return await server.listen({ host, port });
    await removeStale(socket);
    await server.listen({ path: socket });
    await chmod(socket, socketMode);
    return `unix:${socket}`;
  } catch (error) {
    const place = socket ?? `${host}:${port}`;
    throw new BackupError('ADDRESS_IN_USE', `cannot listen on ${place}: ${(error as Error).message}`, {
      hint: 'Choose another address with `http` in the configuration, or COFRE_HTTP_HOST and COFRE_HTTP_PORT.',
      cause: error,
    });
  }
}

/** Removes the socket of a daemon that died. Throws when it is no socket, or somebody listens on it. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error('there is a file that is no socket');
  const client = connect(path);
  try {
    await once(client, 'connect');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error;
    await rm(path);
    return;
  } finally {
    client.destroy();
  }
  throw new Error('another process listens on this socket');
}

/** Reads a certificate and its key. Throws CONFIG_INVALID when they are missing, malformed, or no pair. */
export async function readTls({ cert, key }: TlsFiles): Promise<{ cert: Buffer; key: Buffer }> {
  try {
    const pair = { cert: await readFile(cert), key: await readFile(key) };
    createSecureContext(pair);
    return pair;
  } catch (error) {
    throw new BackupError(
      'CONFIG_INVALID',
      `the certificate ${cert} with the key ${key} cannot be used: ${(error as Error).message}`,
      { path: 'http.tls', hint: 'Both are PEM files that the user who runs cofre can read.', cause: error },
    );
  }
}
