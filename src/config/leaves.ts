/**
 * The single values of the configuration. Every message a schema here gives states what is ALLOWED;
 * what is wrong with the value received is said by faults.ts, so that each fault shows both.
 */
import * as z from 'zod/mini';
import { isTimezone, parseCron } from '../domain/cron.ts';
import { DURATION_PATTERN, parseDuration } from '../domain/duration.ts';

/** Node's timers cannot wait longer: a longer delay fires at once. */
const DURATION_MAX_MS = 2 ** 31 - 1;

const SCHEDULE_ALLOWED = 'a cron expression of 5 fields, or of 6 with seconds first, such as "0 2 * * *"';
const TIMEZONE_ALLOWED = 'an IANA time zone, such as "Europe/Lisbon" or "UTC"';
const DURATION_ALLOWED = 'a whole number and one of ms, s, m, h, d, such as "90s" or "6h"';

/** An object that refuses keys it does not know; `allowed` describes it as a whole. */
export function section<S extends z.core.$ZodShape>(
  shape: S,
  allowed: string,
): z.ZodMiniObject<S, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? Object.keys(shape).join(', ') : allowed),
  });
}

export function flag(): z.ZodMiniBoolean<boolean> {
  return z.boolean('true or false');
}

export function choice<const T extends readonly string[]>(
  values: T,
): z.ZodMiniEnum<z.core.util.ToEnum<T[number]>> {
  return z.enum(values, values.map((value) => JSON.stringify(value)).join(', '));
}

/** A whole number within a range. */
export function count(min: number, max: number): z.ZodMiniInt {
  const allowed = `a whole number from ${min} to ${max}`;
  return z.int(allowed).check(z.gte(min, allowed), z.lte(max, allowed));
}

/** Part of a whole: more than 0, at most 1. */
export function fraction(): z.ZodMiniNumber<number> {
  const allowed = 'a number above 0 and up to 1';
  return z.number(allowed).check(z.gt(0, allowed), z.lte(1, allowed));
}

/** Text that is not empty and without NUL, which no path, argument or environment can hold. */
export function text(allowed: string): z.ZodMiniString<string> {
  return matching(/^[^\0]+$/, allowed);
}

export function matching(pattern: RegExp, allowed: string): z.ZodMiniString<string> {
  return z.string(allowed).check(z.regex(pattern, allowed));
}

export function list<T extends z.core.$ZodType>(item: T, allowed: string): z.ZodMiniArray<T> {
  return z.array(item, allowed).check(z.minLength(1, allowed));
}

/** A duration string. `min_ms` 1 refuses zero where it would mean to give up at once, or to wait for ever. */
export function duration(min_ms: 0 | 1): z.ZodMiniString<string> {
  const allowed = `${DURATION_ALLOWED}; ${min_ms === 0 ? 'at' : 'more than 0s, at'} most 24d`;
  const isInRange = (value: string): boolean => {
    const parsed_ms = parseDuration(value);
    return parsed_ms === undefined || (parsed_ms >= min_ms && parsed_ms <= DURATION_MAX_MS);
  };
  return matching(DURATION_PATTERN, allowed).check(z.refine(isInRange, allowed));
}

/** A cron expression that is due at some time. */
export function schedule(): z.ZodMiniString<string> {
  return text(SCHEDULE_ALLOWED).check(
    z.superRefine((value, context) => {
      const parsed = parseCron(value, 'UTC');
      if (parsed.ok) return;
      context.addIssue({ code: 'custom', message: SCHEDULE_ALLOWED, params: { reason: parsed.reason } });
    }),
  );
}

export function timezone(): z.ZodMiniString<string> {
  return text(TIMEZONE_ALLOWED).check(
    z.superRefine((value, context) => {
      if (isTimezone(value)) return;
      context.addIssue({
        code: 'custom',
        message: TIMEZONE_ALLOWED,
        params: { reason: 'unknown time zone' },
      });
    }),
  );
}
