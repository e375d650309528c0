/** What the API answers with, as schemas: the OpenAPI document is made from them. */
import { z } from 'zod';
import { omit } from 'zod/mini';
import { makeManifestSchema } from '../../catalogue/manifest-schema.ts';
import { ERROR_CODES, type ErrorCode } from '../../domain/errors.ts';
import { ANOMALY_KINDS, OUTCOMES, TRIGGERS, VERDICTS } from '../../domain/manifest.ts';
import type { RunError } from '../../domain/journal-entry.ts';
import { type ProgressView, RUN_STATES, type RunView } from '../../domain/run-view.ts';
import type { Problem } from '../problem.ts';

const time = () => z.iso.datetime().describe('ISO 8601, UTC.');
const code = z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]);

export const problemSchema = z
  .object({
    type: z.string().describe('`urn:cofre:error:<code>`'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().describe('The path that was asked for.'),
    code,
    hint: z.string().exactOptional(),
    path: z.string().exactOptional().describe('What it concerns.'),
  })
  .meta({ id: 'Problem', description: 'A problem document of RFC 9457.' }) satisfies z.ZodType<Problem>;

export const runErrorSchema = z
  .object({
    code,
    message: z.string(),
    hint: z.string().exactOptional(),
    path: z.string().exactOptional(),
    source: z.string().exactOptional(),
  })
  .meta({ id: 'RunError' }) satisfies z.ZodType<RunError>;

/** Whatever the catalogue takes for a manifest; its schema is one of zod/mini, which has functions for methods. */
const whole = makeManifestSchema();

export const contentsSchema = whole.shape.contents.register(z.globalRegistry, {
  id: 'Contents',
  description: 'What an archive holds.',
});

export const backupSchema = omit(whole, { contents: true }).register(z.globalRegistry, {
  id: 'Backup',
  description: 'The manifest of one archive, without its contents; docs/format.md has the fields.',
});

export const manifestSchema = whole.register(z.globalRegistry, {
  id: 'Manifest',
  description: 'The whole manifest of one archive.',
});

const progressSchema = z
  .object({
    source: z.string().nullable(),
    step: z.string(),
    bytes: z.int(),
    total_bytes: z.int().nullable(),
    bytes_per_second: z.int(),
  })
  .meta({ id: 'Progress' }) satisfies z.ZodType<ProgressView>;

export const runSchema = z
  .object({
    run: z.string(),
    job: z.string().describe('A job, or a maintenance task such as `@restore`.'),
    state: z.enum(RUN_STATES),
    trigger: z.enum(TRIGGERS),
    actor: z.string(),
    due: time().nullable(),
    started_at: time().nullable(),
    ended_at: time().nullable(),
    duration_ms: z.number().nullable(),
    outcome: z.enum(OUTCOMES).nullable(),
    archives: z.array(z.string()),
    removed: z.array(z.string()),
    errors: z.array(runErrorSchema),
    drills: z.array(z.object({ filename: z.string(), verdict: z.enum(VERDICTS), duration_ms: z.number() })),
    anomalies: z.array(z.object({ filename: z.string(), kinds: z.array(z.enum(ANOMALY_KINDS)) })),
    filename: z.string().nullable(),
    target: z.string().nullable(),
    progress: progressSchema.nullable(),
  })
  .meta({ id: 'Run', description: 'One run: queued, under way or ended.' }) satisfies z.ZodType<RunView>;

export const success = z.literal(true);

/** What work that goes on answers with. */
export const acceptedSchema = z
  .object({ success, run: runSchema })
  .meta({ id: 'Accepted', description: 'The work has begun, or waits for its turn.' });
