import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

type Json = Record<string, unknown>;

export interface OpenApiDocument {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Json };
}

export interface Operation {
  operationId: string;
  parameters?: { name: string; in: string; required: boolean; schema: Json }[];
  requestBody?: { content: Record<string, { schema: Json }> };
  responses: Record<string, { content?: Record<string, { schema?: Json }> }>;
}

export interface PlacedOperation extends Operation {
  method: string;
  path: string;
}

export function operationsOf({ paths }: OpenApiDocument): PlacedOperation[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...operation,
      method: method.toUpperCase(),
      path,
    })),
  );
}

/** Holds answers against a document, in which every object has only the fields that it names. */
export class AnswerCheck {
  readonly #ajv: Ajv2020;
  readonly #operations: Map<string, PlacedOperation>;

  constructor(document: OpenApiDocument) {
    this.#ajv = new Ajv2020({ strict: false, allErrors: true });
    (addFormats as unknown as (ajv: Ajv2020) => void)(this.#ajv);
    const closed = closeObjects(document) as OpenApiDocument & Json;
    this.#ajv.addSchema({ $id: 'document', ...closed });
    this.#operations = new Map(operationsOf(closed).map((operation) => [operation.operationId, operation]));
  }

  /** What is wrong with an answer, in words; undefined: nothing. */
  faultOf(operationId: string, status: number, type: string, body: unknown): string | undefined {
    const operation = this.#operations.get(operationId);
    const answer = operation?.responses[String(status)];
    if (operation === undefined || answer === undefined) return `${operationId} documents no ${status}`;
    if (answer.content === undefined) return undefined;
    const schema = answer.content[type.split(';')[0] ?? ''];
    if (schema === undefined) return `${operationId} documents no ${type} for ${status}`;
    if (schema.schema === undefined) return undefined;
    const key = `${operationId} ${status}`;
    const validate = this.#ajv.getSchema(key) ?? this.#ajv.compile({ $id: key, ...pointed(schema.schema) });
    return validate(body) === true ? undefined : this.#ajv.errorsText(validate.errors);
  }
}

/** With references into the document that was added. */
function pointed(schema: Json): Json {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"document#/components/')) as Json;
}

function closeObjects(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closeObjects);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, part]) => [key, closeObjects(part)] as const);
  const closed: Json = Object.fromEntries(entries);
  const isObject =
    closed['type'] === 'object' && 'properties' in closed && !('additionalProperties' in closed);
  return isObject ? { ...closed, additionalProperties: false } : closed;
}
