import { randomBytes } from 'node:crypto';
import type { Writable } from 'node:stream';
import { BackupError, toBackupError } from '../../domain/errors.ts';
import type { ByteStream } from '../../domain/ports.ts';
import { assertSucceeded, type Child, type Exit, startChild } from '../../lib/child.ts';
import type { Tool } from '../../postgres/tools.ts';
import { DumpFilter, unsafe } from './dump-filter.ts';
import { programMessage, ProgramStoppedError } from './restore-errors.ts';
import { settingStatements } from './restore-session.ts';
import type { ProgramLogin } from './target-server.ts';

/** Of what psql prints, which is the results of `setval` and the like, its end. */
const OUTPUT_TAIL_BYTES = 1_024;
/** SQLSTATEs of a session that ended: whether it had committed, it does not say. */
const LOST = /^(?:08|57P)/;
/** What psql says of a command of its own in a dump, after `\restrict`. */
const RESTRICTED = /backslash commands are restricted/;
/** The first minor of each major whose psql knows `\restrict`; all from 18 on do. */
const RESTRICTING_MINORS = new Map([
  [13, 22],
  [14, 19],
  [15, 14],
  [16, 10],
  [17, 6],
]);

export interface PlainRestoreOptions {
  psql: Tool;
  login: ProgramLogin;
  owners: boolean;
  singleTransaction: boolean;
  /** Names of all parameters of the server. */
  parameters: ReadonlySet<string>;
  /** Set before the dump begins. */
  settings: ReadonlyMap<string, string>;
  /** Run before it, in the same transaction. */
  statements: readonly string[];
}

/** What is known of a restore by psql that did not succeed. */
export class PlainRestoreError extends Error {
  override readonly name = 'PlainRestoreError';
  /** Whether psql had been told to commit all of it at once. */
  readonly committing: boolean;

  constructor(cause: unknown, committing: boolean) {
    super('the restore did not succeed', { cause });
    this.committing = committing;
  }
}

/**
 * Runs a plain dump through psql. psql's own `--single-transaction` commits when its input ends, however it ends;
 * here `COMMIT` is sent once the whole archive was read without an error, and psql is killed before its input
 * ends otherwise. When this process dies, psql's input ends without a `COMMIT`.
 *
 * Returns the parameters that were left out because the server does not know them. Throws PlainRestoreError.
 */
export async function restorePlain(
  raw: ByteStream,
  options: PlainRestoreOptions,
  signal: AbortSignal,
): Promise<string[]> {
  const { psql, login, singleTransaction } = options;
  const restricts = knowsRestrict(psql);
  const filter = new DumpFilter({ ...options, psqlRestricts: restricts });
  const marker = randomBytes(16).toString('hex');
  const opening = [
    ...(restricts ? [`\\restrict ${marker}`] : []),
    ...settingStatements(options.settings),
    ...(singleTransaction ? ['BEGIN;'] : []),
    ...options.statements,
  ];
  let committing = false;
  let child: Child | undefined;
  try {
    child = await startPsql(psql, login, signal);
    const { stdin, exited } = child;
    if (stdin === null) throw new RangeError('psql has no stdin');
    const output = tailOf(child);
    let reads = await send(
      stdin,
      opening.map((line) => Buffer.from(`${line}\n`)),
    );
    if (reads) {
      for await (const chunk of raw) {
        reads = await send(stdin, filter.write(chunk));
        if (!reads) break;
      }
    }
    signal.throwIfAborted();
    if (reads) {
      filter.end();
      committing = true;
      await send(stdin, [Buffer.from(`${singleTransaction ? 'COMMIT;\n' : ''}SELECT '${marker}';\n`)]);
    }
    stdin.end();
    const exit = await exited;
    signal.throwIfAborted();
    assertRestored(exit, child.stderrTail(), opening.length, signal);
    // Status 0 says that psql saw no error, not that it saw the end: quotes that never close swallow it.
    if (!output().endsWith(`${marker}\n`)) {
      throw new BackupError('RESTORE_FAILED', 'psql ended without having run the whole archive');
    }
    return filter.droppedSettings;
  } catch (error) {
    child?.kill();
    await child?.exited;
    const mayBeDone = committing && singleTransaction && !isRefusal(error);
    throw new PlainRestoreError(signal.aborted ? signal.reason : error, mayBeDone);
  }
}

async function startPsql(psql: Tool, login: ProgramLogin, signal: AbortSignal): Promise<Child> {
  return await startChild({
    command: psql.path,
    args: [
      '-X',
      '-q',
      '-At',
      '-v',
      'ON_ERROR_STOP=1',
      '-v',
      'VERBOSITY=verbose',
      '--no-password',
      // Named, so that messages have line numbers.
      '--file=-',
      '-d',
      login.connectionString,
    ],
    env: login.env,
    signal,
    stdin: 'pipe',
    label: 'psql',
  });
}

/** Resolves once psql has read it: to false when it reads no more. */
async function send(stdin: Writable, parts: readonly Buffer[]): Promise<boolean> {
  const last = parts.at(-1);
  if (last === undefined) return !stdin.destroyed;
  return await new Promise((resolve) => {
    stdin.cork();
    for (const part of parts.slice(0, -1)) stdin.write(part);
    stdin.write(last, (error) => resolve(error === null || error === undefined));
    stdin.uncork();
  });
}

/** Reads psql's output, so that it never waits for us, and keeps its end. */
function tailOf(child: Child): () => string {
  let tail = '';
  child.stdout.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - OUTPUT_TAIL_BYTES))).slice(
      -OUTPUT_TAIL_BYTES,
    );
  });
  return () => tail;
}

function assertRestored(exit: Exit, stderr: string, linesBefore: number, signal: AbortSignal): void {
  try {
    assertSucceeded('psql', exit, stderr, signal);
  } catch (error) {
    signal.throwIfAborted();
    // Killed from outside: that it was says more than what it printed before.
    if (exit.signal !== null || stderr === '') throw error;
    const { text, line, state } = programMessage(stderr, linesBefore);
    const where = line === undefined ? '' : ` at line ${line} of the archive`;
    if (RESTRICTED.test(text)) throw unsafe(`a command of psql${where}: ${text}`);
    const { hint } = toBackupError(error);
    throw new ProgramStoppedError(`psql stopped${where}: ${text}`, state, { hint, cause: error });
  }
}

/** Whether the server refused a statement, after which it commits nothing of the transaction. */
function isRefusal(error: unknown): boolean {
  const state = error instanceof ProgramStoppedError ? error.sqlState : undefined;
  return state !== undefined && !LOST.test(state);
}

/** Whether this psql knows `\restrict`, which makes it refuse all its other commands. */
export function knowsRestrict({ major, version }: Tool): boolean {
  const first = RESTRICTING_MINORS.get(major);
  if (first === undefined) return major >= 18;
  return Number(/^\d+\.(\d+)/.exec(version)?.[1] ?? 0) >= first;
}
