import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server as NetServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { onTestFinished } from 'vitest';
import { requireProgram } from './require-program.ts';
import { temporaryDirectory } from './temp-directory.ts';

export const USER = 'cofre';
export const PASSWORD = 'p4ssw0rd of the mail';

export interface Mail {
  from: string;
  to: string[];
  /** As it was received: headers, an empty line, the body. */
  source: string;
  user: string | undefined;
  secure: boolean;
}

export interface Certificate {
  /** PEM. */
  cert: string;
  key: string;
  certFile: string;
}

/** A certificate that nobody signed, for loopback. */
export async function selfSigned(name = 'subjectAltName=DNS:localhost,IP:127.0.0.1'): Promise<Certificate> {
  requireProgram('openssl', 'openssl');
  const directory = await temporaryDirectory();
  const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const subject = ['-subj', '/CN=mail', '-addext', name, '-days', '2'];
  const files = ['-keyout', keyFile, '-out', certFile];
  execFileSync('openssl', ['req', '-x509', '-nodes', '-newkey', 'rsa:2048', ...subject, ...files], {
    stdio: 'ignore',
  });
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8'), certFile };
}

/** A real SMTP server on loopback, gone with the test. It knows one user. */
export class MailServer {
  readonly mails: Mail[] = [];
  /** Passwords that were offered, and whether the connection was encrypted. */
  readonly logins: { password: string; secure: boolean }[] = [];
  readonly #server: SMTPServer;

  private constructor(options: SMTPServerOptions) {
    this.#server = new SMTPServer({
      logger: false,
      closeTimeout: 100,
      onAuth: ({ username, password }, { secure }, done) => {
        this.logins.push({ password: password ?? '', secure });
        if (username === USER && password === PASSWORD) done(null, { user: username });
        else done(new Error(`no such user as ${username} with ${password}`));
      },
      onData: (stream, session, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          const { mailFrom, rcptTo } = session.envelope;
          this.mails.push({
            from: mailFrom === false ? '' : mailFrom.address,
            to: rcptTo.map(({ address }) => address),
            source: Buffer.concat(chunks).toString(),
            user: session.user ?? undefined,
            secure: session.secure,
          });
          done();
        });
      },
      ...options,
    });
    // Clients that give up are part of the tests.
    this.#server.on('error', () => undefined);
  }

  static async start(options: SMTPServerOptions): Promise<MailServer> {
    const server = new MailServer(options);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', () => resolve()));
    onTestFinished(() => new Promise<void>((resolve) => server.#server.close(() => resolve())));
    return server;
  }

  get port(): number {
    return (this.#server.server.address() as AddressInfo).port;
  }
}

/** A server that takes connections and says nothing, or what is given and then nothing. Gone with the test. */
export async function silentServer(greeting = ''): Promise<number> {
  const sockets = new Set<Socket>();
  const server: NetServer = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    if (greeting !== '') socket.write(greeting);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** A server that offers STARTTLS and answers with this line when it is to begin. Gone with the test. */
export async function hesitantServer(answer: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined).write('220 mail ready\r\n');
    socket.on('data', (data) => {
      if (/^EHLO/i.test(data.toString())) socket.write('250-mail\r\n250 STARTTLS\r\n');
      else if (/^STARTTLS/i.test(data.toString())) socket.write(`${answer}\r\n`);
      else socket.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
}

/** A port on loopback where nobody listens. */
export async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A proxy that strips STARTTLS from what the server offers, as an attacker between the two would. */
export async function stripTls(port: number): Promise<number> {
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    client.pipe(upstream);
    upstream.on('data', (chunk: Buffer) =>
      client.write(chunk.toString('latin1').replaceAll(/^250([ -])STARTTLS/gm, '250$1X-NOTHING'), 'latin1'),
    );
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    client.on('close', end).on('error', end);
    upstream.on('close', end).on('error', end);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
}
