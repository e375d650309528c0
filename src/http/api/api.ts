import { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Access } from '../access.ts';
import type { ProtectedRoutes } from '../server.ts';
import { archiveRoutes } from './archive-routes.ts';
import { backupRoutes } from './backup-routes.ts';
import { downloadRoutes } from './download-route.ts';
import { eventRoutes } from './event-route.ts';
import type { EventStreams } from './event-streams.ts';
import { legacyRoutes } from './legacy-routes.ts';
import { openApiDocument } from './openapi.ts';
import type { Operations } from './operations.ts';
import { pruneRoutes } from './prune-route.ts';
import { restoreRoutes } from './restore-route.ts';
import { type ApiRoute, defineRoute, type Method, type Output } from './route.ts';
import { runRoutes } from './run-routes.ts';

/** The API over its operations, ready to be served. */
export function createApi(operations: Operations, streams: EventStreams, version: string): ProtectedRoutes {
  const routes = apiRoutes(operations, streams, version);
  return {
    serve: (server, access) => serveRoutes(server, routes, access),
    methodsAt: methodsOf(routes),
    disconnect: () => streams.disconnect(),
    stop: () => streams.close(),
  };
}

/** Every operation, that of the document which describes them among them. */
export function apiRoutes(operations: Operations, streams: EventStreams, version: string): ApiRoute[] {
  const routes: ApiRoute[] = [
    ...backupRoutes(operations),
    ...archiveRoutes(operations),
    ...downloadRoutes(operations),
    ...restoreRoutes(operations),
    ...pruneRoutes(operations),
    ...runRoutes(operations),
    ...eventRoutes(streams),
    ...legacyRoutes(operations),
    defineRoute({
      method: 'GET',
      path: '/api/openapi.json',
      operationId: 'getOpenApi',
      summary: 'This document.',
      scope: 'read',
      answers: { 200: { description: 'An OpenAPI 3.1 document.', types: ['application/json'] } },
      faults: [],
      work: async () => ({ body: document() }),
    }),
  ];
  let made: object | undefined;
  // Most daemons are never asked.
  const document = () => (made ??= openApiDocument(routes, version));
  return routes;
}

/** Serves the routes to whoever has a token for them. */
function serveRoutes(server: FastifyInstance, routes: readonly ApiRoute[], access: Access): void {
  for (const route of routes) {
    server.route({
      method: route.head === 'handled' ? ['GET', 'HEAD'] : route.method,
      url: route.path,
      exposeHeadRoute: route.head === undefined,
      // Before the body is read: a stranger sends none of any size.
      onRequest: async (request) => {
        access.admit(request, route.scope);
      },
      handler: async (request, reply) => await answer(route, request, reply, access),
    });
  }
}

async function answer(
  route: ApiRoute,
  request: FastifyRequest,
  reply: FastifyReply,
  access: Access,
): Promise<unknown> {
  const {
    status = 200,
    headers = {},
    body,
  } = await unhurried(request, () =>
    route.handle({
      method: request.method,
      params: request.params,
      query: request.query,
      body: request.body,
      headers: request.headers,
      caller: access.admit(request, route.scope),
    }),
  );
  return reply.code(status).headers(headers).send(body);
}

/** Work may take as long as it takes, without a byte going either way. */
async function unhurried(request: FastifyRequest, work: () => Promise<Output>): Promise<Output> {
  const { socket } = request.raw;
  // A request that a test injects has no socket.
  if (!(socket instanceof Socket)) return await work();
  const usual_ms = socket.timeout ?? 0;
  socket.setTimeout(0);
  try {
    return await work();
  } finally {
    socket.setTimeout(usual_ms);
  }
}

/** The methods that go with a path, by the routes' patterns. */
function methodsOf(routes: readonly ApiRoute[]): (path: string) => Method[] {
  const patterns = routes.map(({ method, path, head }) => ({
    pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/]+')}$`),
    methods: method === 'GET' && head !== 'none' ? (['GET', 'HEAD'] as const) : [method],
  }));
  return (path) => [
    ...new Set(patterns.flatMap(({ pattern, methods }) => (pattern.test(path) ? methods : []))),
  ];
}
