import { asRecord, rawNotify } from './cross-checks.ts';
import {
  BEARER_ALLOWED,
  BEARER_PATTERN,
  bearerSchema,
  HOOK_URL_ALLOWED,
  HOOK_URL_START,
  hookUrlSchema,
  PASSWORD_ALLOWED,
  PASSWORD_PATTERN,
  passwordSchema,
} from './notify-schema.ts';
import { type Found, REFERENCES, type SecretHolder, type SecretKind } from './secret-kind.ts';

const inPlainText = (what: string) => `${what} in plain text in the configuration; ${REFERENCES}`;

const HOOK_URL: SecretKind = {
  key: 'url',
  schema: hookUrlSchema,
  allowed: HOOK_URL_ALLOWED,
  check: checkUrl,
  isPlain: () => true,
  plainWarning: inPlainText('an address that is good for whoever knows it'),
};
const SIGNING_SECRET: SecretKind = {
  key: 'secret',
  schema: passwordSchema,
  allowed: PASSWORD_ALLOWED,
  check: (found) => checkText(found, PASSWORD_PATTERN),
  isPlain: () => true,
  plainWarning: inPlainText('a secret'),
};
const PASSWORD: SecretKind = { ...SIGNING_SECRET, key: 'password', plainWarning: inPlainText('a password') };
const BEARER: SecretKind = {
  key: 'token',
  schema: bearerSchema,
  allowed: BEARER_ALLOWED,
  check: (found) => checkText(found, BEARER_PATTERN),
  isPlain: () => true,
  plainWarning: inPlainText('a token'),
};

/** The secrets of the notifiers, as far as the file has the right shape. */
export function notifySecrets(root: unknown): SecretHolder[] {
  return rawNotify(root).flatMap(({ path, source }): SecretHolder[] => {
    if (source.type === 'email') {
      const { password } = asRecord(source.smtp);
      return password === undefined ? [] : [{ path: [...path, 'smtp'], value: password, kind: PASSWORD }];
    }
    const kinds = source.type === 'webhook' ? [HOOK_URL, SIGNING_SECRET, BEARER] : [HOOK_URL];
    return kinds.map((kind) => ({ path, value: source[kind.key], kind }));
  });
}

function checkUrl(found: Found): Found {
  if (!found.ok) return found;
  const isUrl =
    HOOK_URL_START.test(found.value) && !/\p{Cc}|\s/u.test(found.value) && URL.canParse(found.value);
  return isUrl ? found : { ok: false, reason: 'the secret is not an address of HTTP' };
}

function checkText(found: Found, pattern: RegExp): Found {
  if (!found.ok || pattern.test(found.value)) return found;
  return {
    ok: false,
    reason: 'the secret is too long, or holds a line break or another character that cannot be sent',
  };
}
