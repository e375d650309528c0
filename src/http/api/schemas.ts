/** What the API answers with, as schemas: the OpenAPI document is made from them. */
import * as z from 'zod/mini';
import { makeManifestSchema } from '../../catalogue/manifest-schema.ts';
import { ERROR_CODES, type ErrorCode } from '../../domain/errors.ts';
import { ANOMALY_KINDS, OUTCOMES, TRIGGERS, VERDICTS } from '../../domain/manifest.ts';
import type { RunError } from '../../domain/journal-entry.ts';
import { type ProgressView, RUN_STATES, type RunView } from '../../domain/run-view.ts';
import { described } from '../../lib/described.ts';
import type { Problem } from '../problem.ts';

const time = () => described(z.iso.datetime(), 'ISO 8601, UTC.');
const code = z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]);

export const problemSchema = z
  .object({
    type: described(z.string(), '`urn:cofre:error:<code>`'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: described(z.string(), 'The path that was asked for.'),
    code,
    hint: z.exactOptional(z.string()),
    path: described(z.exactOptional(z.string()), 'What it concerns.'),
  })
  .register(z.globalRegistry, {
    id: 'Problem',
    description: 'A problem document of RFC 9457.',
  }) satisfies z.ZodMiniType<Problem>;

export const runErrorSchema = z
  .object({
    code,
    message: z.string(),
    hint: z.exactOptional(z.string()),
    path: z.exactOptional(z.string()),
    source: z.exactOptional(z.string()),
  })
  .register(z.globalRegistry, { id: 'RunError' }) satisfies z.ZodMiniType<RunError>;

/** Whatever the catalogue takes for a manifest. */
const whole = makeManifestSchema();

export const contentsSchema = whole.shape.contents.register(z.globalRegistry, {
  id: 'Contents',
  description: 'What an archive holds.',
});

export const backupSchema = z.omit(whole, { contents: true }).register(z.globalRegistry, {
  id: 'Backup',
  description: 'The manifest of one archive, without its contents; docs/format.md has the fields.',
});

export const manifestSchema = whole.register(z.globalRegistry, {
  id: 'Manifest',
  description: 'The whole manifest of one archive.',
});

const progressSchema = z
  .object({
    source: z.nullable(z.string()),
    step: z.string(),
    bytes: z.int(),
    total_bytes: z.nullable(z.int()),
    bytes_per_second: z.int(),
  })
  .register(z.globalRegistry, { id: 'Progress' }) satisfies z.ZodMiniType<ProgressView>;

export const runSchema = z
  .object({
    run: z.string(),
    job: described(z.string(), 'A job, or a maintenance task such as `@restore`.'),
    state: z.enum(RUN_STATES),
    trigger: z.enum(TRIGGERS),
    actor: z.string(),
    due: z.nullable(time()),
    started_at: z.nullable(time()),
    ended_at: z.nullable(time()),
    duration_ms: z.nullable(z.number()),
    outcome: z.nullable(z.enum(OUTCOMES)),
    archives: z.array(z.string()),
    removed: z.array(z.string()),
    errors: z.array(runErrorSchema),
    drills: z.array(z.object({ filename: z.string(), verdict: z.enum(VERDICTS), duration_ms: z.number() })),
    anomalies: z.array(z.object({ filename: z.string(), kinds: z.array(z.enum(ANOMALY_KINDS)) })),
    filename: z.nullable(z.string()),
    target: z.nullable(z.string()),
    progress: z.nullable(progressSchema),
  })
  .register(z.globalRegistry, {
    id: 'Run',
    description: 'One run: queued, under way or ended.',
  }) satisfies z.ZodMiniType<RunView>;

export const success = z.literal(true);

/** What work that goes on answers with. */
export const acceptedSchema = z
  .object({ success, run: runSchema })
  .register(z.globalRegistry, { id: 'Accepted', description: 'The work has begun, or waits for its turn.' });
