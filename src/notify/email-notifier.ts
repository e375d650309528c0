import { readFile } from 'node:fs/promises';
import type { Notice } from '../domain/notice.ts';
import { subjectOf, textOf } from '../domain/notice-text.ts';
import type { Notifier } from '../domain/ports.ts';
import { DeliveryError } from './delivery-error.ts';

export interface EmailOptions {
  name: string;
  host: string;
  port: number;
  /** `starttls`: encrypted or not at all. */
  tls: 'starttls' | 'implicit' | 'none';
  /** PEM file with the certificates to trust. */
  ca?: string;
  user?: string;
  password?: string;
  from: string;
  to: readonly string[];
}

/** A mail through a server that is spoken to with SMTP. */
export class EmailNotifier implements Notifier {
  readonly id: string;
  readonly #options: EmailOptions;

  constructor(options: EmailOptions) {
    this.id = options.name;
    this.#options = options;
  }

  async notify(notice: Notice, signal: AbortSignal): Promise<void> {
    const { host, port, tls, user, password = '', from, to } = this.#options;
    const ca = await this.#certificates();
    // Loaded where there is a mail to send only: it is large.
    const { createTransport } = await import('nodemailer');
    const transport = createTransport({
      host,
      port,
      secure: tls === 'implicit',
      requireTLS: tls === 'starttls',
      ignoreTLS: tls === 'none',
      ...(user === undefined ? {} : { auth: { user, pass: password } }),
      ...(ca === undefined ? {} : { tls: { ca } }),
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    try {
      const { rejected } = await transport.sendMail({
        from,
        to: [...to],
        subject: subjectOf(notice),
        text: textOf(notice),
        // RFC 3834: no out-of-office replies.
        headers: { 'Auto-Submitted': 'auto-generated', 'X-Cofre-Event': notice.kind },
        signal,
      });
      if (rejected.length > 0) throw refusedSome(host, rejected.length, to.length);
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof DeliveryError ? error : smtpError(`${host}:${port}`, error);
    } finally {
      transport.close();
    }
  }

  async #certificates(): Promise<string | undefined> {
    const { ca } = this.#options;
    if (ca === undefined) return undefined;
    try {
      return await readFile(ca, 'utf8');
    } catch (error) {
      throw new DeliveryError(`the certificates ${ca} cannot be read: ${codeOf(error)}`, {
        hint: 'Correct `smtp.ca`, or let the user that runs cofre read the file.',
        isFinal: true,
        cause: error,
      });
    }
  }
}

function refusedSome(host: string, refused: number, all: number): DeliveryError {
  return new DeliveryError(`${host} refused ${refused} of ${all} recipients`, {
    hint: 'Look at the addresses in `to`; the others got the mail.',
    isFinal: true,
    isPartial: true,
  });
}

/** What a server answers may repeat what it was sent: of it only the status is told. */
function smtpError(server: string, error: unknown): DeliveryError {
  const { responseCode: status } = error as { responseCode?: number };
  const code = codeOf(error);
  const answer = status === undefined ? '' : ` with status ${status}`;
  // https://datatracker.ietf.org/doc/html/rfc5321#section-4.2.1: 4 may pass, 5 stays.
  const isFinal = status !== undefined && status >= 500;
  switch (code) {
    case 'EAUTH':
      return new DeliveryError(`the mail server ${server} refused the login${answer}`, {
        hint: 'Correct `smtp.user` and `smtp.password`; many providers want a password made for the program.',
        isFinal,
        cause: error,
      });
    case 'ETLS':
      return new DeliveryError(`the mail server ${server} offers no encryption that can be used`, {
        hint: 'Set `smtp.tls` to "implicit" if the port expects TLS from the first byte (465), or to "none" for a server on this machine, without a password.',
        isFinal,
        cause: error,
      });
    case 'EENVELOPE':
    case 'EMESSAGE':
      return new DeliveryError(`the mail server ${server} refused the mail${answer}`, {
        hint: 'Look at the addresses in `from` and `to`, and whether the server sends for this machine and user.',
        isFinal,
        cause: error,
      });
    default:
      return new DeliveryError(`the mail server ${server} cannot be used: ${code}${answer}`, {
        hint: HINTS[code] ?? 'Look at name, port, firewall, and whether the server runs.',
        isFinal,
        cause: error,
      });
  }
}

const UNTRUSTED =
  'Its certificate is signed by nobody that is trusted: name the file of its authority in `smtp.ca`.';
const HINTS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  ERR_TLS_CERT_ALTNAME_INVALID: 'Its certificate is for another name: use that one in `smtp.host`.',
  CERT_HAS_EXPIRED: 'Its certificate has expired.',
};

/** nodemailer says `ESOCKET` of much; the code of the system or of TLS behind it says more. */
function codeOf(error: unknown): string {
  const { originalCode, code } = error as { originalCode?: unknown; code?: unknown };
  const [known = 'the connection failed'] = [originalCode, code].filter((each) => typeof each === 'string');
  return known;
}
