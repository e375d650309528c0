import * as z from 'zod/mini';
import { configSchema } from './schema.ts';

/** A key of the configuration, as docs and messages name it. */
export interface ConfigKey {
  /** `jobs.<job>.sources[].name`. */
  path: string;
  /** The last part of the path. */
  name: string;
  description: string;
  /** As it would be written in the file; absent when the key is required or simply off. */
  default?: unknown;
  required: boolean;
}

/** The part of JSON Schema (draft-7) that the configuration's schema uses. */
interface JsonSchema {
  description?: string;
  default?: unknown;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
}

/** The JSON schema (draft-7) of the configuration file; config.schema.json is this, written out. */
export function configJsonSchema(): object {
  const { $schema, ...rest } = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' });
  return { $schema, title: 'Configuration of cofre', ...rest };
}

/** What config.schema.json holds and `config schema` prints. */
export function configJsonSchemaText(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`;
}

let keys: readonly ConfigKey[] | undefined;

/** Every key that the configuration can have, each once, in the order of the schema. */
export function configKeys(): readonly ConfigKey[] {
  keys ??= mergeAlternatives(walk(configJsonSchema(), ''));
  return keys;
}

/** A key that differs between the branches of a union (`compression.level`) is one, with all descriptions. */
function mergeAlternatives(all: readonly ConfigKey[]): ConfigKey[] {
  const merged = new Map<string, ConfigKey>();
  for (const key of all) {
    const { default: value, ...known } = merged.get(key.path) ?? key;
    const texts = new Set([known.description, key.description]);
    merged.set(key.path, {
      ...known,
      description: [...texts].join(' '),
      ...(value === key.default && value !== undefined ? { default: value } : {}),
    });
  }
  return [...merged.values()];
}

function walk(schema: JsonSchema, path: string): ConfigKey[] {
  const { properties = {}, additionalProperties, items, anyOf = [], oneOf = [] } = schema;
  const own = Object.entries(properties).flatMap(([name, property]) => {
    const at = path === '' ? name : `${path}.${name}`;
    return [describeKey(name, at, schema, property), ...walk(property, at)];
  });
  const members = typeof additionalProperties === 'object' ? walk(additionalProperties, `${path}.<job>`) : [];
  const elements = items === undefined ? [] : walk(items, `${path}[]`);
  return [...own, ...members, ...elements, ...[...anyOf, ...oneOf].flatMap((branch) => walk(branch, path))];
}

function describeKey(name: string, path: string, parent: JsonSchema, schema: JsonSchema): ConfigKey {
  return {
    path,
    name,
    description: schema.description ?? '',
    ...(schema.default === undefined ? {} : { default: schema.default }),
    required: parent.required?.includes(name) ?? false,
  };
}
