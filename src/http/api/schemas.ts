/** What the API answers with, as schemas: the OpenAPI document is made from them. */
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../../domain/errors.ts';
import {
  type Anomaly,
  ANOMALY_KINDS,
  ARCHIVE_FORMATS,
  ARCHIVE_TYPES,
  COMPRESSION_TYPES,
  type Contents,
  type Manifest,
  type ManifestSummary,
  OUTCOMES,
  type Proof,
  TRIGGERS,
  VERDICTS,
  VERIFY_LEVELS,
} from '../../domain/manifest.ts';
import type { RunError } from '../../domain/journal-entry.ts';
import { type ProgressView, RUN_STATES, type RunView } from '../../domain/run-view.ts';
import type { Problem } from '../problem.ts';

const time = () => z.iso.datetime().describe('ISO 8601, UTC.');
const bytes = () => z.int().min(0).describe('Bytes.');
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

const anomalySchema = z.object({
  baseline: z.string(),
  findings: z.array(z.object({ kind: z.enum(ANOMALY_KINDS), detail: z.string() })),
  acknowledged: z.object({ at: time(), actor: z.string() }).exactOptional(),
}) satisfies z.ZodType<Anomaly>;

const proofSchema = z.object({
  verdict: z.enum(VERDICTS),
  at: time(),
  duration_ms: z.number(),
  detail: z.string(),
  versions: z.record(z.string(), z.string()),
}) satisfies z.ZodType<Proof>;

const summaryShape = {
  version: z.literal(1),
  type: z.enum(ARCHIVE_TYPES),
  filename: z.string(),
  filepath: z.string(),
  size: bytes(),
  size_human: z.string(),
  hash: z.string().describe('SHA-256 of the stored file, hex.'),
  compressed: z.boolean(),
  encrypted: z.literal(false),
  timestamp: z.string(),
  created_at: time(),
  directories: z.array(z.string()).exactOptional(),
  roots: z.array(z.object({ name: z.string(), path: z.string() })).exactOptional(),
  job: z.string(),
  source: z.string(),
  run: z.string(),
  trigger: z.enum(TRIGGERS),
  actor: z.string(),
  compression: z.enum(COMPRESSION_TYPES),
  format: z.enum(ARCHIVE_FORMATS),
  started_at: time(),
  duration_ms: z.number(),
  raw_size: bytes(),
  system_identifier: z.string().exactOptional(),
  database: z.string().exactOptional(),
  server_version: z.string().exactOptional(),
  tool_version: z.string().exactOptional(),
  locale: z
    .object({
      encoding: z.string(),
      collate: z.string(),
      ctype: z.string(),
      provider: z.string().exactOptional(),
      provider_locale: z.string().exactOptional(),
      monetary: z.string().exactOptional(),
    })
    .exactOptional(),
  rebuilt: z.literal(true).exactOptional(),
  pinned: z.boolean(),
  incomplete: z.boolean(),
  verification: z.object({
    level: z.enum(VERIFY_LEVELS),
    ok: z.boolean(),
    at: time(),
    detail: z.string(),
  }),
  proof: proofSchema.exactOptional(),
  anomaly: anomalySchema.exactOptional(),
};

const remarks = z.array(z.object({ path: z.string(), reason: z.string() }));

export const contentsSchema = z
  .union([
    z.object({
      tables: z.array(
        z.object({
          schema: z.string(),
          name: z.string(),
          rows: z.int(),
          bytes: z.int(),
          sha256: z.string(),
        }),
      ),
      schema_sha256: z.string(),
    }),
    z.object({
      entries: z.int(),
      bytes: z.int(),
      digest: z.string(),
      changed: remarks,
      incomplete: remarks,
    }),
  ])
  .meta({ id: 'Contents', description: 'What an archive holds.' }) satisfies z.ZodType<Contents>;

export const backupSchema = z.object(summaryShape).meta({
  id: 'Backup',
  description: 'The manifest of one archive, without its contents; docs/format.md has the fields.',
}) satisfies z.ZodType<ManifestSummary>;

export const manifestSchema = z.object({ ...summaryShape, contents: contentsSchema }).meta({
  id: 'Manifest',
  description: 'The whole manifest of one archive.',
}) satisfies z.ZodType<Manifest>;

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
