import type { EventEmitter } from 'node:events';
import type { ConnectionParams } from './connection-params.ts';

/** The URI forbids how the server wants the login to be done. */
export class LoginPolicyError extends Error {
  override readonly name = 'LoginPolicyError';
}

/** The server asked for a password and none is known. */
export class PasswordMissingError extends Error {
  override readonly name = 'PasswordMissingError';
}

interface LoginMethod {
  name: 'none' | 'password' | 'md5' | 'scram-sha-256';
  /** Bound to the TLS session, so that nobody in between can pass the login on. */
  bound: boolean;
}

/**
 * libpq's channel_binding=require and require_auth for `pg`, which knows neither: watches what the server asks
 * for and withholds the password from a method that is not allowed.
 */
export class LoginPolicy {
  readonly #bindingRequired: boolean;
  readonly #allowed: readonly string[] | undefined;
  #method: LoginMethod = { name: 'none', bound: false };

  constructor(params: ConnectionParams) {
    this.#bindingRequired = params.given.get('channel_binding') === 'require';
    this.#allowed = params.given.get('require_auth')?.split(',');
  }

  get wantsBinding(): boolean {
    return this.#bindingRequired;
  }

  /** To be called before the client connects, so that these listeners run before its own. */
  watch(connection: EventEmitter): void {
    connection.on('authenticationCleartextPassword', () => {
      this.#method = { name: 'password', bound: false };
    });
    connection.on('authenticationMD5Password', () => {
      this.#method = { name: 'md5', bound: false };
    });
    connection.on('authenticationSASL', ({ mechanisms }: { mechanisms: readonly string[] }) => {
      this.#method = { name: 'scram-sha-256', bound: mechanisms.includes('SCRAM-SHA-256-PLUS') };
    });
  }

  /** Throws LoginPolicyError when the method seen last (or none at all) is not allowed. */
  assertAllowed(): void {
    const { name, bound } = this.#method;
    if (this.#bindingRequired && !bound) {
      throw new LoginPolicyError(
        'channel_binding=require, but the server offers no login with channel binding',
      );
    }
    if (this.#allowed !== undefined && !isAllowed(name, this.#allowed)) {
      throw new LoginPolicyError(
        `the server uses the login method ${name}, which require_auth does not allow`,
      );
    }
  }
}

/** Either a list of what is allowed or, each with a `!`, of what is not. */
function isAllowed(name: string, list: readonly string[]): boolean {
  return list.some((entry) => entry.startsWith('!')) ? !list.includes(`!${name}`) : list.includes(name);
}
