import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { BackupError } from '../domain/errors.ts';
import type { Config } from './config.ts';
import { readEnvironment } from './environment.ts';
import { ConfigError } from './faults.ts';
import { httpOverrides } from './http-overrides.ts';
import { parseJsonText } from './json-text.ts';
import { resolveConfig } from './resolve.ts';
import { resolveSecrets } from './secrets.ts';
import { validate } from './validate.ts';
import { warningsOf } from './warnings.ts';

const SYSTEM_CONFIG = '/etc/cofre/config.json';

export interface LoadOptions {
  /** As given on the command line. */
  path?: string;
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** Where to look last. */
  systemPath?: string;
}

export interface LoadedConfig {
  /** The file, absolute. */
  path: string;
  config: Config;
  /** One line each; none holds a secret. */
  warnings: string[];
  /** The environment with `.env` below it. */
  env: NodeJS.ProcessEnv;
}

/**
 * Finds, reads, validates and resolves the configuration.
 *
 * @throws ConfigError with every fault at once; BackupError CONFIG_NOT_FOUND naming the places tried.
 */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { file, bytes } = await readFirst(placesOf(options));
  const directory = dirname(file);
  const root = parse(file, bytes);
  const environment = await readEnvironment(directory, options.env);
  const secrets = await resolveSecrets(root, directory, environment);
  const http = httpOverrides(environment.variables);
  const validated = await validate(root, directory);
  const faults = [...validated.faults, ...secrets.faults, ...http.faults];
  if (validated.input === undefined || faults.length > 0) throw new ConfigError(file, faults);
  const input = { ...validated.input, http: { ...validated.input.http, ...http.overrides } };
  const config = resolveConfig(input, { directory, secrets: secrets.values });
  const warnings = [...environment.warnings, ...secrets.warnings, ...warningsOf(config, root)];
  return { path: file, config, warnings, env: environment.variables };
}

/** A place that is named must be there; only where none is named the usual ones are searched. */
function placesOf({ path, env, cwd, systemPath = SYSTEM_CONFIG }: LoadOptions): string[] {
  if (path !== undefined) return [resolve(cwd, path)];
  const named = env.COFRE_CONFIG;
  if (named !== undefined && named !== '') return [resolve(cwd, named)];
  return [resolve(cwd, 'config.json'), systemPath];
}

async function readFirst(places: readonly string[]): Promise<{ file: string; bytes: Buffer }> {
  for (const file of places) {
    try {
      return { file, bytes: await readFile(file) };
    } catch (error) {
      const { code = 'unreadable' } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') continue;
      const allowed = 'a file that the user who runs cofre can read';
      throw new ConfigError(file, [{ path: file, received: code, allowed, message: 'cannot be read' }]);
    }
  }
  throw new BackupError('CONFIG_NOT_FOUND', `there is no configuration file; tried ${places.join(', ')}`, {
    hint: 'Name one with --config or COFRE_CONFIG; config.example.json is one to start from.',
  });
}

function parse(file: string, bytes: Buffer): unknown {
  const parsed = parseJsonText(bytes);
  if (parsed.ok) return parsed.value;
  const faults = parsed.faults.map(({ line, column, message, received }) => ({
    path: `${file}:${line}:${column}`,
    message,
    received,
    allowed: 'plain JSON',
  }));
  throw new ConfigError(file, faults);
}
