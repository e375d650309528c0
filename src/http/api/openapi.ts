import * as z from 'zod/mini';
import type { ErrorCode } from '../../domain/errors.ts';
import { PROBLEM_TYPE, STATUS_OF } from '../problem.ts';
import type { Answer, ApiRoute } from './route.ts';
import { problemSchema } from './schemas.ts';

/** What every operation may answer with: no token, not a good enough one, a wrong request, a fault of ours. */
const ALWAYS = [
  'USAGE',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'RATE_LIMITED',
  'LOCATION_UNUSABLE',
  'INTERNAL',
] as const;
const BODY_STATUSES = [413, 415];

type Json = Record<string, unknown>;

/** The OpenAPI 3.1 document of the routes, by which the server routes and checks as well. */
export function openApiDocument(routes: readonly ApiRoute[], version: string): Json {
  const components = new Components();
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route, components) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'cofre',
      version,
      description: 'Backups of PostgreSQL databases and directories. docs/api.md shows every call.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: components.schemas,
    },
  };
}

function operationOf(route: ApiRoute, components: Components): Json {
  const { operationId, summary, scope, params, query, body, faults } = route;
  const parameters = [
    ...parametersOf(params, 'path', components),
    ...parametersOf(query, 'query', components),
  ];
  const answers = Object.entries(route.answers).map(([status, answer]) => [
    status,
    answerOf(answer, components),
  ]);
  return {
    operationId,
    summary,
    description: `Needs a token with the scope \`${scope}\`.`,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !body.safeParse({}).success,
            content: { 'application/json': { schema: components.of(body, 'input') } },
          },
        }),
    responses: { ...Object.fromEntries(answers), ...problems(faults, body !== undefined, components) },
  };
}

function parametersOf(schema: z.ZodMiniObject | undefined, place: string, components: Components): Json[] {
  return Object.entries(schema?.shape ?? {}).map(([name, value]) => {
    // What a parameter means is what comes out of it; what goes in is text.
    const { description, ...rest } = components.of(value as z.ZodMiniType, 'output');
    const required = place === 'path' || !(value as z.ZodMiniType).safeParse(undefined).success;
    return { name, in: place, required, ...(description === undefined ? {} : { description }), schema: rest };
  });
}

function answerOf({ description, schema, types, headers = {} }: Answer, components: Components): Json {
  const named = Object.entries(headers).map(([name, text]) => [
    name,
    { description: text, schema: { type: 'string' } },
  ]);
  const content = schema === undefined ? {} : { schema: components.of(schema, 'output') };
  const all = types ?? (schema === undefined ? [] : ['application/json']);
  return {
    description,
    ...(named.length === 0 ? {} : { headers: Object.fromEntries(named) as Json }),
    ...(all.length === 0 ? {} : { content: Object.fromEntries(all.map((type) => [type, content])) }),
  };
}

/** The errors of a route by their status. */
function problems(faults: readonly ErrorCode[], hasBody: boolean, components: Components): Json {
  const byStatus = new Map<number, string[]>(
    hasBody ? BODY_STATUSES.map((status) => [status, ['USAGE']]) : [],
  );
  for (const code of [...ALWAYS, ...faults]) {
    const status = STATUS_OF[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const content = { [PROBLEM_TYPE]: { schema: components.of(problemSchema, 'output') } };
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      String(status),
      { description: [...new Set(codes)].map((code) => `\`${code}\``).join(', '), content },
    ]),
  );
}

/** Schemas with an id stand once, under their name, and are referred to. */
class Components {
  readonly schemas: Json = {};

  of(schema: z.ZodMiniType, io: 'input' | 'output'): Json {
    const {
      $schema: _,
      $defs = {},
      ...own
    } = z.toJSONSchema(schema, {
      io,
      target: 'draft-2020-12',
      // Answers may get further fields in later versions; only requests are held to those there are.
      override: ({ jsonSchema }) => {
        if (io === 'output') delete jsonSchema.additionalProperties;
        tidy(jsonSchema);
      },
    }) as Json & { $defs?: Json };
    for (const [name, definition] of Object.entries($defs)) this.schemas[name] = placed(definition);
    return placed(own);
  }
}

/** Without what says nothing: the bounds of every whole number, and the pattern of a format that is named. */
function tidy(schema: Json): void {
  delete schema.id;
  if (schema.format !== undefined) delete schema.pattern;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
}

/** With references to where the definitions are. */
function placed(value: unknown): Json {
  return JSON.parse(JSON.stringify(value).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json;
}
