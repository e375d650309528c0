import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import {
  BackupError,
  type BackupErrorOptions,
  ERROR_CODES,
  type ErrorCode,
  toBackupError,
} from '../domain/errors.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** An error as an answer: a problem document of RFC 9457, with the code of the error and its hint. */
export interface Problem {
  /** `urn:cofre:error:<code>`; docs/errors.md describes each. */
  type: string;
  title: string;
  status: number;
  detail: string;
  /** The path that was asked for. */
  instance: string;
  code: ErrorCode;
  hint?: string;
  /** What it concerns: a filename, a job. */
  path?: string;
}

/** The status of each error where it is the answer to a request. */
export const STATUS_OF = {
  CONFIG_INVALID: 500,
  CONFIG_NOT_FOUND: 500,
  USAGE: 400,
  JOB_UNKNOWN: 404,
  JOB_BUSY: 409,
  RUN_UNKNOWN: 404,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  RATE_LIMITED: 429,
  ARCHIVE_UNKNOWN: 404,
  ARCHIVE_PINNED: 409,
  ARCHIVE_MISSING: 410,
  ARCHIVE_CORRUPT: 422,
  MANIFEST_CORRUPT: 422,
  CONTENTS_MISMATCH: 422,
  LOCATION_UNUSABLE: 503,
  SPACE_LOW: 507,
  DISK_FULL: 507,
  IO_FAILED: 500,
  LOCK_BUSY: 409,
  LOCK_LOST: 503,
  TOOL_MISSING: 501,
  TOOL_FAILED: 502,
  SERVER_UNREACHABLE: 502,
  SERVER_AUTH: 502,
  SERVER_TOO_NEW: 501,
  SERVER_BUSY: 503,
  UNREADABLE: 422,
  ROWS_LEFT_OUT: 422,
  DUMP_EMPTY: 422,
  DUMP_TRUNCATED: 422,
  SOURCE_MISSING: 422,
  HOOK_FAILED: 502,
  TIMEOUT: 504,
  CANCELLED: 503,
  INTERRUPTED: 503,
  SKIPPED: 409,
  PRUNE_HELD_BACK: 409,
  TARGET_REFUSED: 409,
  ARCHIVE_UNSAFE: 422,
  RESTORE_FAILED: 502,
  NOT_PROVABLE: 501,
  DRILL_UNCONFINED: 501,
  DRILL_FAILED: 422,
  OVERDUE: 500,
  NOTIFY_FAILED: 500,
  ADDRESS_IN_USE: 500,
  INTERNAL: 500,
} as const satisfies Record<ErrorCode, number>;

export interface RefusalOptions extends BackupErrorOptions {
  /** Default: that of the code. */
  status?: number;
  headers?: Record<string, string>;
}

/** An error with a status, or headers, that its code alone does not give. */
export class Refusal extends BackupError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, { status, headers = {}, ...options }: RefusalOptions = {}) {
    super(code, message, options);
    this.status = status ?? STATUS_OF[code];
    this.headers = headers;
  }
}

export interface ProblemOptions {
  /** Told of what is no fault of whoever asked. */
  failed: (error: BackupError) => void;
  /** Whether whoever asks may know what happened inside. */
  maySee: (request: FastifyRequest) => boolean;
  /** The methods that a path has; empty for no path. */
  methodsAt: (path: string) => readonly string[];
}

/** Makes every error of a server a problem document, those of Fastify and of paths that are not there too. */
export function answerWithProblems(server: FastifyInstance, options: ProblemOptions): void {
  server.setNotFoundHandler((request, reply) => {
    const path = pathOf(request);
    const methods = options.methodsAt(path);
    const message = `there is nothing to ${request.method} at this path`;
    if (methods.length === 0) return send(request, reply, new Refusal('USAGE', message, { status: 404 }));
    const headers = { allow: methods.join(', ') };
    return send(request, reply, new Refusal('USAGE', message, { status: 405, headers }));
  });
  server.setErrorHandler((error: FastifyError | Error, request, reply) => {
    const fault = faultOf(error);
    const status = statusOf(fault);
    if (status === 500) options.failed(fault);
    return send(request, reply, status < 500 || options.maySee(request) ? fault : withoutDetail(fault));
  });
}

function send(request: FastifyRequest, reply: FastifyReply, fault: BackupError): FastifyReply {
  if (fault instanceof Refusal) reply.headers(fault.headers);
  return reply
    .code(statusOf(fault))
    .type(PROBLEM_TYPE)
    .send(problemOf(fault, pathOf(request)));
}

export function problemOf(fault: BackupError, instance: string): Problem {
  const { code, message, hint, path } = fault;
  return {
    type: `urn:cofre:error:${code}`,
    title: ERROR_CODES[code],
    status: statusOf(fault),
    detail: message,
    instance,
    code,
    ...(hint === undefined ? {} : { hint }),
    ...(path === undefined ? {} : { path }),
  };
}

export function statusOf(fault: BackupError): number {
  return fault instanceof Refusal ? fault.status : STATUS_OF[fault.code];
}

/** What Fastify itself refuses has a status below 500, and is the fault of the request. */
function faultOf(error: FastifyError | Error): BackupError {
  if (error instanceof BackupError) return error;
  const { statusCode } = error as Partial<FastifyError>;
  if (statusCode === undefined || statusCode >= 500) return toBackupError(error);
  return new Refusal('USAGE', error.message, { status: statusCode });
}

function withoutDetail(fault: BackupError): BackupError {
  const message = 'the request failed; the log of cofre says why';
  return new Refusal(fault.code, message, { status: statusOf(fault) });
}

/** Without the query, which may hold what does not belong into an answer. */
function pathOf({ url }: FastifyRequest): string {
  return url.split('?', 1)[0] ?? url;
}
