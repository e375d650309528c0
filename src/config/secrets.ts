import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { rawScratch, rawSources } from './cross-checks.ts';
import type { Environment } from './environment.ts';
import { type ConfigFault, formatPath, HIDDEN } from './faults.ts';
import { isPostgresUrl, type SecretInput, secretSchema, URL_ALLOWED } from './source-schema.ts';

/** No connection URI is longer; a file that is was named by mistake. */
const SECRET_MAX_BYTES = 64 * 1024;
const OTHERS_READ = 0o044;

export interface ResolvedSecrets {
  /** By the path of the key: `jobs.app.sources[0].url`. */
  values: ReadonlyMap<string, string>;
  faults: ConfigFault[];
  warnings: string[];
}

/** A secret as it was found, or why it was not. */
type Found = { ok: true; value: string; warning?: string } | { ok: false; reason: string };

/**
 * The connection URI of every source, and of the scratch server, whose `url` has the right shape; relative paths
 * are below `directory`.
 */
export async function resolveSecrets(
  root: unknown,
  directory: string,
  environment: Environment,
): Promise<ResolvedSecrets> {
  const values = new Map<string, string>();
  const faults: ConfigFault[] = [];
  const warnings: string[] = [];
  const holders = rawSources(root).filter(({ source }) => source.type === 'postgres');
  for (const { path, source } of [...holders, rawScratch(root)]) {
    const secret = secretSchema.safeParse(source.url);
    if (!secret.success) continue;
    const at = formatPath([...path, 'url']);
    const found = checkUrl(await find(secret.data, directory, environment));
    if (found.ok) {
      values.set(at, found.value);
      if (found.warning !== undefined) warnings.push(`${at}: ${found.warning}`);
    } else {
      const received = typeof secret.data === 'string' ? HIDDEN : JSON.stringify(secret.data);
      const allowed = `a secret that can be read and is ${URL_ALLOWED}`;
      faults.push({ path: at, received, allowed, message: found.reason });
    }
  }
  return { values, faults, warnings };
}

async function find(secret: SecretInput, directory: string, environment: Environment): Promise<Found> {
  if (typeof secret === 'string') {
    if (!holdsPassword(secret)) return { ok: true, value: secret };
    const warning =
      'a password in plain text in the configuration; use {"env": …}, {"file": …} or {"credential": …}';
    return { ok: true, value: secret, warning };
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

/** Whether a URI names a password: in the part before the last `@`, or as a parameter. */
function holdsPassword(uri: string): boolean {
  const [authority = '', query = ''] = uri.slice(uri.indexOf('://') + 3).split('?', 2);
  const userinfo = authority.slice(0, Math.max(0, authority.lastIndexOf('@')));
  return /:./.test(userinfo) || /(?:^|&)(?:ssl)?password=./i.test(query);
}
