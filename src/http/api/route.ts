import type { IncomingHttpHeaders } from 'node:http';
import { en } from 'zod/locales';
import * as z from 'zod/mini';
import type { ErrorCode } from '../../domain/errors.ts';
import type { Scope } from '../../domain/scopes.ts';
import { Refusal } from '../problem.ts';
import type { Caller } from '../tokens.ts';

export type Method = 'GET' | 'HEAD' | 'POST' | 'DELETE';

/** A request as Fastify has parsed it, before anything of it is believed. */
export interface RawInput {
  method: string;
  params: unknown;
  query: unknown;
  body: unknown;
  headers: IncomingHttpHeaders;
  caller: Caller;
}

export interface Output {
  /** Default: 200. */
  status?: number;
  headers?: Record<string, string>;
  /** A JSON document, or a stream; absent: no body. */
  body?: unknown;
}

/** What a route answers with a status. */
export interface Answer {
  description: string;
  schema?: z.ZodMiniType;
  /** Any of them. Default: `application/json`. */
  types?: readonly string[];
  headers?: Record<string, string>;
}

/** One operation of the API: what the server routes by, and what the OpenAPI document says. */
export interface ApiRoute {
  /** HEAD goes with GET, and is handed over only where the route asks for it. */
  method: Exclude<Method, 'HEAD'>;
  /** Where HEAD is answered by `handle` itself, or by nobody; default: like GET, without the body. */
  head?: 'handled' | 'none';
  /** With `:name` for parameters. */
  path: string;
  operationId: string;
  summary: string;
  scope: Scope;
  params?: z.ZodMiniObject;
  query?: z.ZodMiniObject;
  body?: z.ZodMiniType;
  /** Query keys that are not known are passed over; else they are refused. */
  looseQuery?: boolean;
  answers: Record<number, Answer>;
  /** Errors beside those that every route may answer with. */
  faults: readonly ErrorCode[];
  handle: (input: RawInput) => Promise<Output>;
}

interface Spec<P extends z.ZodMiniObject, Q extends z.ZodMiniObject, B extends z.ZodMiniType>
  extends Omit<ApiRoute, 'handle' | 'params' | 'query' | 'body'> {
  params?: P;
  query?: Q;
  body?: B;
  work: (input: {
    params: z.output<P>;
    query: z.output<Q>;
    body: z.output<B>;
    caller: Caller;
    method: string;
    headers: IncomingHttpHeaders;
  }) => Promise<Output>;
}

const NO_KEYS = z.strictObject({});

/** A route whose work sees only what its schemas let through. */
export function defineRoute<
  P extends z.ZodMiniObject = typeof NO_KEYS,
  Q extends z.ZodMiniObject = typeof NO_KEYS,
  B extends z.ZodMiniType = typeof NO_KEYS,
>({ work, ...route }: Spec<P, Q, B>): ApiRoute {
  const { params = NO_KEYS, query = NO_KEYS, body = NO_KEYS, looseQuery = false } = route;
  return {
    ...route,
    handle: ({ method, headers, caller, ...raw }) =>
      work({
        method,
        headers,
        caller,
        params: parse(params, raw.params, 'path') as z.output<P>,
        query: parse(looseQuery ? z.object(query.shape) : query, raw.query, 'query') as z.output<Q>,
        // Nothing at all is as good as an empty object.
        body: parse(body, raw.body === undefined ? {} : raw.body, 'body') as z.output<B>,
      }),
  };
}

/** Throws USAGE, which names everything that is wrong and shows none of the values. */
function parse(schema: z.ZodMiniType, value: unknown, where: string): unknown {
  // Of itself zod/mini says no more than that something is wrong.
  const parsed = schema.safeParse(value, { error: en().localeError });
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  );
  throw new Refusal('USAGE', `the ${where} of the request is not valid: ${faults.join('; ')}`, {
    hint: 'See GET /api/openapi.json for what is allowed.',
  });
}
