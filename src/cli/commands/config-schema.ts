import { configJsonSchema } from '../../config/json-schema.ts';
import type { Answer } from '../answer.ts';

/** `cofre config schema`: the JSON Schema of the configuration, for editors. */
export function configSchema(): Answer {
  const json = configJsonSchema();
  return { status: 0, json, text: JSON.stringify(json, undefined, 2) };
}
