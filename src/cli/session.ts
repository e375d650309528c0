import { userInfo } from 'node:os';
import { type App, composeApp, type OpenOptions } from '../compose.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { BackupError } from '../domain/errors.ts';
import { createLog, LOG_LEVELS, type Logger, type LogLevel } from '../lib/log.ts';

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
  readonly log: Logger;
  /** Who asked, for manifests and journal: `cli:alice`. */
  readonly actor: string;
  load(): Promise<LoadedConfig>;
  /** For commands that write at a location which is there, unless the options say otherwise. */
  open(options?: Partial<OpenOptions>): Promise<App>;
  /** As `open`, with the configuration at hand. */
  openLoaded(loaded: LoadedConfig, options?: Partial<OpenOptions>): Promise<App>;
}

export function createSession(flags: CommonFlags, signal: AbortSignal, defaultLevel: LogLevel): Session {
  const log = createLog({ level: levelOf(process.env, defaultLevel), pretty: process.stderr.isTTY });
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
  const openLoaded = (loaded: LoadedConfig, options: Partial<OpenOptions> = {}) =>
    composeApp(loaded.config, log, { create: false, ...options });
  return {
    flags,
    json: flags.json === true,
    signal,
    log,
    actor: `cli:${userName()}`,
    load,
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
