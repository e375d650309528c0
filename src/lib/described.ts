/** Schemas with what the docs, an editor and the document of the API say of them. */
import * as z from 'zod/mini';

/** Describes the schema itself, not a copy of it: one that stands in several places is copied by `z.clone` first. */
export function described<T extends z.core.$ZodType>(schema: T, description: string): T {
  z.globalRegistry.add(schema, { description });
  return schema;
}

export function descriptionOf(schema: z.core.$ZodType): string {
  return z.globalRegistry.get(schema)?.description ?? '';
}

/** What may be left out. */
export function optional<T extends z.core.$ZodType>(schema: T, description: string): z.ZodMiniOptional<T> {
  return described(z.optional(schema), description);
}

/** What is `value` when it is left out. */
export function withDefault<T extends z.core.$ZodType>(
  schema: T,
  value: z.core.util.NoUndefined<z.output<T>>,
  description: string,
): z.ZodMiniDefault<T> {
  return described(z._default(schema, value), description);
}

/** A section that, when it is left out, is as if it stood there without any of its keys. */
export function withItsDefaults<T extends z.ZodMiniObject>(
  schema: T,
  description: string,
): z.ZodMiniPrefault<T> {
  return described(z.prefault(schema, {} as z.input<T>), description);
}
