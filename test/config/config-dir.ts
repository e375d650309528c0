import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ConfigError } from '../../src/config/faults.ts';
import { type LoadedConfig, loadConfig } from '../../src/config/load.ts';

/** The smallest configuration with both kinds of sources. */
export function validConfig() {
  return {
    location: 'backups',
    jobs: {
      app: {
        schedule: '0 2 * * *',
        sources: [
          { type: 'postgres', name: 'app', url: { env: 'DATABASE_URI' } },
          { type: 'files', name: 'uploads', directories: ['/srv/uploads'] },
        ],
      },
    },
  };
}

export const DATABASE_URI = 'postgresql://app:s3cret@db.example/app';

/** A directory of its own that goes when the test ends. */
export async function makeDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cofre-config-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

/** Writes a configuration (text as it is, anything else as JSON) to a fresh directory and loads it. */
export async function loadFrom(
  config: unknown,
  env: NodeJS.ProcessEnv = { DATABASE_URI },
): Promise<LoadedConfig> {
  const directory = await makeDirectory();
  await writeConfig(directory, config);
  return loadConfig({ env, cwd: directory });
}

export async function writeConfig(directory: string, config: unknown): Promise<string> {
  const file = join(directory, 'config.json');
  const isRaw = typeof config === 'string' || config instanceof Uint8Array;
  await writeFile(file, isRaw ? config : JSON.stringify(config));
  return file;
}

/** The lines of the ConfigError that loading ends with, without the headline; paths relative to the directory. */
export async function faultLines(
  config: unknown,
  env: NodeJS.ProcessEnv = { DATABASE_URI },
): Promise<string[]> {
  const directory = await makeDirectory();
  await writeConfig(directory, config);
  return linesOf(loadConfig({ env, cwd: directory }), directory);
}

export async function linesOf(loading: Promise<unknown>, directory: string): Promise<string[]> {
  const error = await loading.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConfigError))
    throw new Error(`expected a ConfigError, got ${String(error)}`, { cause: error });
  return error.message
    .split('\n')
    .slice(1)
    .map((line) => line.replaceAll(`${directory}/`, ''));
}
