import { userInfo } from 'node:os';
import type { Catalogue } from '../catalogue/catalogue.ts';
import type { App, OpenOptions } from '../compose.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { BackupError } from '../domain/errors.ts';
import type { Logger } from '../lib/log.ts';
import { LOG_LEVELS, type LogLevel } from '../lib/log-level.ts';

/** The flags that every command takes. */
export interface CommonFlags {
  config?: string;
  json?: boolean;
}

/** What a command works with; `signal` aborts on SIGINT and SIGTERM. */
export interface Session {
  readonly flags: CommonFlags;
  readonly json: boolean;
  readonly signal: AbortSignal;
  /** Who asked, for manifests and journal: `cli:alice`. */
  readonly actor: string;
  /** The same one each time. */
  openLog(): Promise<Logger>;
  load(): Promise<LoadedConfig>;
  /** For commands that only show what is recorded. */
  openCatalogue(): Promise<Catalogue>;
  /** For commands that write at a location which is there, unless the options say otherwise. */
  open(options?: Partial<OpenOptions>): Promise<App>;
  /** As `open`, with the configuration at hand. */
  openLoaded(loaded: LoadedConfig, options?: Partial<OpenOptions>): Promise<App>;
}

export function createSession(flags: CommonFlags, signal: AbortSignal, defaultLevel: LogLevel): Session {
  const level = levelOf(process.env, defaultLevel);
  let log: Promise<Logger> | undefined;
  // The environment as it was given: what an earlier `.env` added must not outlive a reload.
  const givenEnv = { ...process.env };
  const load = async () => {
    const loaded = await loadConfig({
      ...(flags.config === undefined ? {} : { path: flags.config }),
      env: givenEnv,
      cwd: process.cwd(),
    });
    // For children and libraries that read the environment themselves, such as hooks.
    Object.assign(process.env, loaded.env);
    return loaded;
  };
  // What a command needs beyond the configuration is loaded when it asks for it: `list` needs little of it.
  const openLog = async () => {
    const { createLog } = await import('../lib/log.ts');
    log ??= createLog({ level, pretty: process.stderr.isTTY });
    return await log;
  };
  const openLoaded = async (loaded: LoadedConfig, options: Partial<OpenOptions> = {}) => {
    const { composeApp } = await import('../compose.ts');
    return await composeApp(loaded.config, await openLog(), { create: false, ...options });
  };
  return {
    flags,
    json: flags.json === true,
    signal,
    openLog,
    actor: `cli:${userName()}`,
    load,
    openCatalogue: async () => {
      const { config } = await load();
      const { composeCatalogue } = await import('../compose-catalogue.ts');
      return await composeCatalogue(config);
    },
    openLoaded,
    open: async (options) => await openLoaded(await load(), options),
  };
}

/** `COFRE_LOG_LEVEL`, or what suits the command. */
function levelOf(env: NodeJS.ProcessEnv, fallback: LogLevel): LogLevel {
  const wanted = env.COFRE_LOG_LEVEL;
  if (wanted === undefined || wanted === '') return fallback;
  const level = LOG_LEVELS.find((known) => known === wanted);
  if (level !== undefined) return level;
  throw new BackupError('USAGE', `COFRE_LOG_LEVEL is ${JSON.stringify(wanted)}`, {
    hint: `Allowed are ${LOG_LEVELS.join(', ')}.`,
  });
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container's user need not have a name.
    return String(process.getuid?.() ?? 'unknown');
  }
}
