import { execFile } from 'node:child_process';
import { chmod, chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { serverOwner } from '../../tools/server-owner.ts';
import { requireProgram } from '../support/require-program.ts';

const run = promisify(execFile);

export interface Certificates {
  /** The authority that signed the server's certificate. */
  root: string;
  /** One that did not. */
  strangerRoot: string;
  serverCert: string;
  serverKey: string;
}

/** A server certificate for one host name, signed by a root of its own, owned by the server's user. */
export async function makeCertificates(directory: string, hostname: string): Promise<Certificates> {
  requireProgram('openssl', 'openssl');
  const at = (name: string) => join(directory, name);
  const selfSigned = async (name: string) => {
    const subject = ['-subj', `/CN=${name}`, '-days', '2'];
    const files = ['-keyout', at(`${name}.key`), '-out', at(`${name}.crt`)];
    await run('openssl', ['req', '-x509', '-nodes', '-newkey', 'rsa:2048', ...subject, ...files]);
    return at(`${name}.crt`);
  };
  const root = await selfSigned('root');
  const strangerRoot = await selfSigned('stranger');
  const files = {
    key: at('server.key'),
    request: at('server.csr'),
    certificate: at('server.crt'),
    extensions: at('server.ext'),
  };
  const subject = ['-subj', `/CN=${hostname}`];
  await run('openssl', [
    'req',
    '-nodes',
    '-newkey',
    'rsa:2048',
    ...subject,
    '-keyout',
    files.key,
    '-out',
    files.request,
  ]);
  await writeFile(files.extensions, `subjectAltName=DNS:${hostname}\n`);
  const signer = ['-CA', root, '-CAkey', at('root.key'), '-CAcreateserial', '-days', '2'];
  await run('openssl', [
    'x509',
    '-req',
    '-in',
    files.request,
    '-out',
    files.certificate,
    '-extfile',
    files.extensions,
    ...signer,
  ]);
  await chmod(directory, 0o755);
  await chmod(files.key, 0o600);
  const { ids } = await serverOwner();
  if (ids !== undefined) await chown(files.key, ids.uid, ids.gid);
  return { root, strangerRoot, serverCert: files.certificate, serverKey: files.key };
}
