import type { FastifyRequest } from 'fastify';
import type { Scope } from '../domain/scopes.ts';
import { FailedAttempts } from './failed-attempts.ts';
import { Refusal } from './problem.ts';
import type { Caller, Tokens } from './tokens.ts';

const CHALLENGE = { 'www-authenticate': 'Bearer realm="cofre"' };
const BEARER = /^Bearer +(?<token>\S+) *$/i;

/** Who may do what over HTTP. */
export class Access {
  readonly #tokens: Tokens;
  readonly #denied: (address: string, why: string) => void;
  readonly #failures: FailedAttempts;
  /** One request is one attempt, however often it is asked who sends it. */
  readonly #seen = new WeakMap<FastifyRequest, { caller: Caller | undefined }>();

  /** @param denied is told of each request that is turned away. */
  constructor(
    tokens: Tokens,
    denied: (address: string, why: string) => void,
    failures: FailedAttempts = new FailedAttempts(),
  ) {
    this.#tokens = tokens;
    this.#denied = denied;
    this.#failures = failures;
  }

  /** Whether there is any token at all. */
  get isOn(): boolean {
    return this.#tokens.size > 0;
  }

  /** Throws UNAUTHENTICATED, FORBIDDEN or RATE_LIMITED. @param scopes any of them is enough. */
  admit(request: FastifyRequest, ...scopes: readonly Scope[]): Caller {
    const caller = this.#identify(request);
    if (caller === undefined) {
      this.#denied(addressOf(request), 'no valid token');
      throw new Refusal('UNAUTHENTICATED', 'this needs a valid token', {
        headers: CHALLENGE,
        hint: 'Send `Authorization: Bearer …` with a token of `http.tokens`.',
      });
    }
    if (scopes.some((scope) => caller.scopes.includes(scope))) return caller;
    this.#denied(addressOf(request), `the token ${caller.name} lacks the scope ${scopes.join(' or ')}`);
    throw new Refusal('FORBIDDEN', `the token ${caller.name} is not good for this`, {
      headers: { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scopes.join(' ')}"` },
      hint: `Use a token with the scope ${scopes.map((scope) => `\`${scope}\``).join(' or ')}.`,
    });
  }

  /**
   * Whether the request has any of the scopes, which all have where there are no tokens; for what is also served to
   * everybody. Never throws.
   */
  allows(request: FastifyRequest, ...scopes: readonly Scope[]): boolean {
    if (!this.isOn) return true;
    try {
      return this.#identify(request)?.scopes.some((scope) => scopes.includes(scope)) === true;
    } catch {
      return false;
    }
  }

  /** Throws RATE_LIMITED before the token is looked at: it must not tell whether a guess was right. */
  #identify(request: FastifyRequest): Caller | undefined {
    const header = request.headers.authorization;
    if (header === undefined || !this.isOn) return undefined;
    const seen = this.#seen.get(request);
    if (seen !== undefined) return seen.caller;
    const address = addressOf(request);
    const wait_s = this.#failures.secondsToWait(address);
    if (wait_s > 0) {
      throw new Refusal('RATE_LIMITED', 'too many wrong tokens came from this address', {
        headers: { 'retry-after': String(wait_s) },
        hint: `Wait ${wait_s} seconds, then use a token that is right.`,
      });
    }
    const token = BEARER.exec(header)?.groups?.token;
    const caller = token === undefined ? undefined : this.#tokens.identify(token);
    if (caller === undefined) this.#failures.note(address);
    this.#seen.set(request, { caller });
    return caller;
  }
}

/** Who connects to a unix socket has no address. */
function addressOf({ ip }: { ip: string | undefined }): string {
  return ip ?? 'unix';
}
