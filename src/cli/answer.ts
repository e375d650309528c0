import { type BackupError, toBackupError } from '../domain/errors.ts';

/** What a command ends with. 0 done; 1 failed or found a fault; 2 wrong usage or config; 3 done, but incomplete. */
export type ExitStatus = 0 | 1 | 2 | 3;

/** What a command says: one JSON document, or text for people. */
export interface Answer {
  status: ExitStatus;
  json: unknown;
  text: string;
}

const USAGE_CODES = new Set(['CONFIG_INVALID', 'CONFIG_NOT_FOUND', 'USAGE', 'JOB_UNKNOWN']);

/** The exit status of an error that ends a command. */
function statusOf(error: BackupError): ExitStatus {
  return USAGE_CODES.has(error.code) ? 2 : 1;
}

/** Writes an answer: JSON and results to stdout. */
export function printAnswer(answer: Answer, json: boolean): void {
  const text = json ? JSON.stringify(answer.json, undefined, 2) : answer.text;
  if (text !== '') process.stdout.write(`${text}\n`);
}

/** Writes an error: as a JSON document to stdout, or for people to stderr. Returns the exit status. */
export function printError(thrown: unknown, json: boolean): ExitStatus {
  const error = toBackupError(thrown);
  // Scripts may count on the hint, though not every error has one.
  const { code, message, hint = '', path } = error;
  const document = { error: { code, message, hint, path } };
  if (json) process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
  else process.stderr.write(`${formatError(error)}\n`);
  return statusOf(error);
}

function formatError({ message, hint, code, cause }: BackupError): string {
  const stack = code === 'INTERNAL' && cause instanceof Error ? `\n${cause.stack}` : '';
  return `error: ${message}${hint === undefined || hint === '' ? '' : `\n  ${hint}`}${stack}`;
}
