import { DeliveryError } from './delivery-error.ts';

export interface HttpMessage {
  /** A secret as a whole: of it only the host is ever told. */
  url: string;
  body: string;
  headers: Readonly<Record<string, string>>;
}

/** Too early, too many, or asked at a bad moment: these may pass. */
const TEMPORARY_STATUSES: readonly number[] = [408, 425, 429];

/**
 * Posts once, to exactly this address: a redirect would carry the message, and what signs it, to somebody else.
 * Resolves when the receiver answered that it took it. Throws DeliveryError, or the reason of the signal.
 */
export async function post({ url, body, headers }: HttpMessage, signal: AbortSignal): Promise<void> {
  const target = new URL(url);
  const { host } = target;
  const authorization = basicAuthorization(target);
  let status: number;
  let retryAfter: string | null;
  try {
    const response = await fetch(target, {
      method: 'POST',
      body,
      headers: { 'user-agent': 'cofre', ...authorization, ...headers },
      redirect: 'manual',
      signal,
    });
    ({ status } = response);
    retryAfter = response.headers.get('retry-after');
    // What a receiver says may repeat what it was sent, and is not read; unread it would hold the connection.
    await response.body?.cancel();
  } catch (error) {
    signal.throwIfAborted();
    throw new DeliveryError(`${host} cannot be reached: ${networkReason(error)}`, {
      hint: 'Look at name resolution, routes, firewall and proxy of this machine, and whether the receiver runs.',
      cause: error,
    });
  }
  if (status >= 200 && status < 300) return;
  throw refusal(host, status, millisecondsOf(retryAfter, new Date()));
}

/** https://datatracker.ietf.org/doc/html/rfc9110#section-10.2.3: seconds or a date; 0 for anything else. */
function millisecondsOf(retryAfter: string | null, now: Date): number {
  const value = retryAfter ?? '';
  if (/^\d+$/.test(value)) return Number(value) * 1_000;
  const wait_ms = Date.parse(value) - now.getTime();
  return wait_ms > 0 ? wait_ms : 0;
}

function refusal(host: string, status: number, retryAfter_ms: number): DeliveryError {
  const message = `${host} answered with status ${status}`;
  if (status >= 300 && status < 400) {
    return new DeliveryError(message, {
      hint: 'It redirects elsewhere, which is not followed: put the final address into the configuration.',
      isFinal: true,
    });
  }
  if (status >= 500 || TEMPORARY_STATUSES.includes(status)) {
    const hint = 'The receiver has a fault of its own, or too much to do.';
    return new DeliveryError(message, { hint, retryAfter_ms });
  }
  return new DeliveryError(message, {
    hint: 'The receiver refuses it: are `url`, `token` and `format` the ones that it gave you?',
    isFinal: true,
  });
}

/** `fetch` takes no address with a user in it. The user is taken out of it. */
function basicAuthorization(target: URL): Record<string, string> {
  const { username, password } = target;
  if (username === '' && password === '') return {};
  target.username = '';
  target.password = '';
  const pair = `${decoded(username)}:${decoded(password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

/** As it stands where a percent sign encodes nothing. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The code of the system or of TLS; the message could name the whole address. */
function networkReason(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const { code } = (cause ?? error) as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : 'the connection failed';
}
