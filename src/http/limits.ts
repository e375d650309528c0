import { type ServerResponse, STATUS_CODES } from 'node:http';
import { BlockList, isIP, type Socket } from 'node:net';
import type {
  FastifyError,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifyServerOptions,
} from 'fastify';
import { problemOf, PROBLEM_TYPE, Refusal } from './problem.ts';

const BODY_BYTES_MAX = 64 * 1024;
const HEADER_BYTES_MAX = 8 * 1024;
/** The longest filename of an archive, and then some. */
const PARAMETER_LENGTH_MAX = 300;
const CONNECTIONS_MAX = 1_000;
export const REQUEST_TIMEOUT_MS = 30_000;

/** What is meant for programs is nothing that a browser shows, keeps or lends to other pages. */
const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
};

export interface LimitOptions {
  /** How long a request may take to arrive; silence, three times as long. Default: 30 s. */
  requestTimeout_ms?: number;
  /** Addresses and networks whose `X-Forwarded-For` is believed, and `unix`. */
  trustedProxies?: readonly string[];
}

/** What bounds a request before any route sees it. */
export function limitsOf({ requestTimeout_ms = REQUEST_TIMEOUT_MS, trustedProxies = [] }: LimitOptions) {
  return {
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: requestTimeout_ms,
    // Longer, so that a request which comes too slowly is told before its connection is given up.
    connectionTimeout: 3 * requestTimeout_ms,
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX },
    // A scraper's idle connection must not hold up a shutdown.
    forceCloseConnections: true,
    ...(trustedProxies.length === 0 ? {} : { trustProxy: trustOf(trustedProxies) }),
    clientErrorHandler: answerMalformed,
    frameworkErrors: answerUnroutable,
  } satisfies FastifyServerOptions;
}

/** Options of Node's own server. */
export function nodeLimits({ requestTimeout_ms = REQUEST_TIMEOUT_MS }: LimitOptions) {
  return {
    maxHeaderSize: HEADER_BYTES_MAX,
    // Node takes the longer one of the two for the whole request, whichever that is.
    headersTimeout: requestTimeout_ms,
    requestTimeout: requestTimeout_ms,
    // Node looks for requests that take too long only as often as this.
    connectionsCheckingInterval: Math.min(5_000, requestTimeout_ms),
  };
}

/** Headers for whoever opens an answer in a browser, and the types of bodies that are read. */
export function harden(server: FastifyInstance, { isTls }: { isTls: boolean }): void {
  server.server.maxConnections = CONNECTIONS_MAX;
  server.addHook('onSend', async (_request, reply) => {
    reply.headers({ ...HEADERS, ...(isTls ? { 'strict-transport-security': 'max-age=31536000' } : {}) });
  });
  server.addHook('onRequest', async ({ headers }) => {
    // Many clients name a type, any type, also where they send nothing.
    const isEmpty = (headers['content-length'] ?? '0') === '0' && headers['transfer-encoding'] === undefined;
    if (isEmpty) delete headers['content-type'];
  });
  server.removeAllContentTypeParsers();
  const parse = server.getDefaultJsonParser('error', 'error');
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const coding = request.headers['content-encoding'] ?? 'identity';
    if (coding !== 'identity') done(codedBody());
    else if (body === '') done(null, undefined);
    else void parse(request, body.toString(), done);
  });
}

function codedBody(): Refusal {
  return new Refusal('USAGE', 'the body is in a content coding, of which none is read', {
    status: 415,
    headers: { 'accept-encoding': 'identity' },
    hint: 'Send it as it is.',
  });
}

function trustOf(proxies: readonly string[]): (address: string | undefined) => boolean {
  const list = new BlockList();
  for (const proxy of proxies) {
    const [address = '', bits] = proxy.split('/');
    const family = familyOf(address);
    if (family === undefined) continue;
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  const trustsSocket = proxies.includes('unix');
  return (address) => {
    if (address === undefined) return trustsSocket;
    const family = familyOf(address);
    return family !== undefined && list.check(address, family);
  };
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(address);
  return version === 0 ? undefined : version === 4 ? 'ipv4' : 'ipv6';
}

/** What cannot be decoded comes to no route, and past every hook. */
function answerUnroutable(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  const fault = new Refusal('USAGE', error.message, { status: error.statusCode ?? 400 });
  void reply
    .code(fault.status)
    .headers(HEADERS)
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(problemOf(fault, '')));
}

/** What is no HTTP, or too much or too slow of it, never comes to a route. */
function answerMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  // The answer that Node is sending on this connection: in the middle of a download an error would pass for a part of it.
  const { _httpMessage: answer } = socket as Socket & { _httpMessage?: ServerResponse | null };
  if (error.code === 'ECONNRESET' || !socket.writable || answer?.headersSent === true) {
    socket.destroy();
    return;
  }
  const status = { ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_HEADER_OVERFLOW: 431 }[error.code ?? ''] ?? 400;
  const reason = STATUS_CODES[status] ?? '';
  const fault = new Refusal('USAGE', `the request cannot be read: ${reason.toLowerCase()}`, { status });
  const body = JSON.stringify(problemOf(fault, ''));
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\nContent-Type: ${PROBLEM_TYPE}\r\n\r\n${body}`,
  );
}
