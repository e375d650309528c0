import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { rawHttp, rawScratch, rawSources } from './cross-checks.ts';
import type { Environment } from './environment.ts';
import { type ConfigFault, formatPath, HIDDEN } from './faults.ts';
import { notifySecrets } from './notify-secrets.ts';
import { type Found, REFERENCES, type SecretHolder, type SecretKind } from './secret-kind.ts';
import {
  isPostgresUrl,
  isToken,
  type SecretInput,
  secretSchema,
  TOKEN_TEXT_ALLOWED,
  tokenSchema,
  URL_ALLOWED,
} from './source-schema.ts';

/** No connection URI is longer; a file that is was named by mistake. */
const SECRET_MAX_BYTES = 64 * 1024;
const OTHERS_READ = 0o044;
const TOKEN_LENGTH_MIN = 20;

export interface ResolvedSecrets {
  /** By the path of the key: `jobs.app.sources[0].url`. */
  values: ReadonlyMap<string, string>;
  faults: ConfigFault[];
  warnings: string[];
}

const URL: SecretKind = {
  key: 'url',
  schema: () => secretSchema,
  allowed: URL_ALLOWED,
  check: checkUrl,
  isPlain: holdsPassword,
  plainWarning: `a password in plain text in the configuration; ${REFERENCES}`,
};
const TOKEN: SecretKind = {
  key: 'token',
  schema: () => tokenSchema,
  allowed: TOKEN_TEXT_ALLOWED,
  check: checkToken,
  isPlain: () => true,
  plainWarning: `a token in plain text in the configuration; ${REFERENCES}`,
};

/**
 * The connection URI of every source, of the scratch server and of the targets of restores, the tokens of the API,
 * and the addresses, passwords and tokens of notifiers, as far as they have the right shape; relative paths are below `directory`.
 */
export async function resolveSecrets(
  root: unknown,
  directory: string,
  environment: Environment,
): Promise<ResolvedSecrets> {
  const values = new Map<string, string>();
  const faults: ConfigFault[] = [];
  const warnings: string[] = [];
  for (const { path, value, kind } of holdersOf(root)) {
    const secret = kind.schema().safeParse(value);
    if (!secret.success) continue;
    const at = formatPath([...path, kind.key]);
    const fault = (message: string) => {
      const received = typeof secret.data === 'string' ? HIDDEN : JSON.stringify(secret.data);
      faults.push({
        path: at,
        received,
        allowed: `a secret that can be read and is ${kind.allowed}`,
        message,
      });
    };
    const found = kind.check(await find(secret.data, kind, directory, environment));
    if (!found.ok) {
      fault(found.reason);
      continue;
    }
    // Whoever presents it must be known by one name.
    const twin = kind === TOKEN && [...values].find(([, known]) => known === found.value);
    if (twin) fault(`the same token as ${twin[0]}`);
    values.set(at, found.value);
    if (found.warning !== undefined) warnings.push(`${at}: ${found.warning}`);
  }
  return { values, faults, warnings };
}

function holdersOf(root: unknown): SecretHolder[] {
  const { tokens, restoreTargets } = rawHttp(root);
  const sources = rawSources(root).filter(({ source }) => source.type === 'postgres');
  const urls = [...sources, rawScratch(root), ...restoreTargets];
  return [
    ...urls.map(({ path, source }) => ({ path, value: source.url, kind: URL })),
    ...tokens.map(({ path, source }) => ({ path, value: source.token, kind: TOKEN })),
    ...notifySecrets(root),
  ];
}

async function find(
  secret: SecretInput,
  { isPlain, plainWarning }: SecretKind,
  directory: string,
  environment: Environment,
): Promise<Found> {
  if (typeof secret === 'string') {
    return isPlain(secret) ? { ok: true, value: secret, warning: plainWarning } : { ok: true, value: secret };
  }
  if ('env' in secret) return fromEnvironment(secret.env, environment);
  if ('file' in secret) return fromFile(resolve(directory, secret.file));
  return fromCredential(secret.credential, environment);
}

function fromEnvironment(name: string, { variables, file, fileRead }: Environment): Found {
  const value = variables[name];
  if (value === undefined) {
    const tried = fileRead ? `the environment and ${file}` : `the environment; there is no readable ${file}`;
    return { ok: false, reason: `the environment variable ${name} is not set, tried ${tried}` };
  }
  if (value === '') return { ok: false, reason: `the environment variable ${name} is empty` };
  return { ok: true, value };
}

async function fromCredential(name: string, { variables }: Environment): Promise<Found> {
  const directory = variables.CREDENTIALS_DIRECTORY;
  if (directory === undefined || directory === '') {
    const reason = `the credential ${name} cannot be found: $CREDENTIALS_DIRECTORY is not set, which systemd does for a service with LoadCredential=`;
    return { ok: false, reason };
  }
  // systemd guards this directory itself; the mode bits of its files show the mask of an access list.
  return readSecret(join(directory, name));
}

async function fromFile(file: string): Promise<Found> {
  const found = await readSecret(file);
  if (!found.ok || (found.mode & OTHERS_READ) === 0) return found;
  return { ...found, warning: `the file ${file} can be read by others; chmod 600 it` };
}

async function readSecret(
  file: string,
): Promise<(Found & { ok: false }) | { ok: true; value: string; mode: number }> {
  let status: Stats;
  let text: string;
  try {
    status = await stat(file);
    // Reading a FIFO or a terminal could wait for ever.
    if (!status.isFile()) return { ok: false, reason: `${file} is not a regular file` };
    if (status.size > SECRET_MAX_BYTES)
      return { ok: false, reason: `the file ${file} is larger than 64 KiB` };
    text = await readFile(file, 'utf8');
  } catch (error) {
    return { ok: false, reason: `the file ${file} cannot be read: ${(error as NodeJS.ErrnoException).code}` };
  }
  const value = text.replace(/\r?\n$/, '');
  if (value === '') return { ok: false, reason: `the file ${file} is empty` };
  return { ok: true, value, mode: status.mode };
}

function checkUrl(found: Found): Found {
  if (!found.ok) return found;
  if (!isPostgresUrl(found.value)) return { ok: false, reason: 'the secret is not a URI of PostgreSQL' };
  if (/\p{Cc}/u.test(found.value))
    return { ok: false, reason: 'the secret holds a line break or control character' };
  return found;
}

function checkToken(found: Found): Found {
  if (!found.ok || isToken(found.value)) return found;
  const reason =
    found.value.length < TOKEN_LENGTH_MIN
      ? `the token has ${found.value.length} characters, too few to be safe`
      : 'the token is too long, or holds a space, a line break or a character that is not ASCII';
  return { ok: false, reason };
}

/** Whether a URI names a password: in the part before the last `@`, or as a parameter. */
function holdsPassword(uri: string): boolean {
  const [authority = '', query = ''] = uri.slice(uri.indexOf('://') + 3).split('?', 2);
  const userinfo = authority.slice(0, Math.max(0, authority.lastIndexOf('@')));
  return /:./.test(userinfo) || /(?:^|&)(?:ssl)?password=./i.test(query);
}
