import { type Logger, pino } from 'pino';
import type { LogLevel } from './log-level.ts';

export type { Logger } from 'pino';

/** Keys whose values never reach the log, wherever an object that has them is logged. */
const SECRET_KEYS = ['password', 'url', 'uri', 'token', 'secret', 'PGPASSWORD', 'authorization'];

export interface LogOptions {
  level: LogLevel;
  /** For people (a terminal) instead of JSON lines. */
  pretty: boolean;
}

/** The log, on stderr: stdout belongs to the answer of a command. Written synchronously, so a crash loses none. */
export async function createLog(options: LogOptions): Promise<Logger> {
  const redact = { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '<hidden>' };
  const settings = { level: options.level, redact, base: { pid: process.pid } };
  if (options.pretty) {
    // Loaded at a terminal only: a daemon has no use for it.
    const { default: pretty } = await import('pino-pretty');
    return pino(
      settings,
      pretty({ destination: 2, sync: true, colorize: process.stderr.isTTY, ignore: 'pid,hostname' }),
    );
  }
  return pino(
    { ...settings, formatters: { level: (label) => ({ level: label }) } },
    pino.destination({ dest: 2, sync: true }),
  );
}
