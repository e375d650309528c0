import { en } from 'zod/locales';
import * as z from 'zod/mini';
import {
  ANOMALY_KINDS,
  ARCHIVE_FORMATS,
  ARCHIVE_TYPES,
  COMPRESSION_TYPES,
  type Manifest,
  TRIGGERS,
  VERDICTS,
  VERIFY_LEVELS,
} from '../domain/manifest.ts';

/** What the schema makes of a JSON value: a manifest, or the first thing that is wrong with it. */
export type Judged = { ok: true; manifest: Manifest } | { ok: false; fault: string };

let schema: ReturnType<typeof makeManifestSchema> | undefined;

/** The last word on what a manifest is; `isManifest` has the first. */
export function judgeManifest(json: unknown): Judged {
  schema ??= makeManifestSchema();
  // Of itself zod/mini says no more than that something is wrong.
  const parsed = schema.safeParse(json, { error: en().localeError });
  if (parsed.success) return { ok: true, manifest: parsed.data as Manifest };
  const [issue] = parsed.error.issues;
  return { ok: false, fault: `${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'invalid'}` };
}

/** Made only where it is asked for: when a manifest is damaged, and for the document that describes the API. */
export function makeManifestSchema() {
  const sha256 = z.string().check(z.regex(/^[0-9a-f]{64}$/));
  const count = z.number().check(z.int(), z.nonnegative());
  const instant = z.iso.datetime();
  const remarks = z.array(z.object({ path: z.string(), reason: z.string() }));

  const databaseContents = z.object({
    tables: z.array(z.object({ schema: z.string(), name: z.string(), rows: count, bytes: count, sha256 })),
    schema_sha256: sha256,
  });
  const filesContents = z.object({
    entries: count,
    bytes: count,
    digest: sha256,
    changed: remarks,
    incomplete: remarks,
  });

  const locale = z.object({
    encoding: z.string(),
    collate: z.string(),
    ctype: z.string(),
    provider: z.optional(z.string()),
    provider_locale: z.optional(z.string()),
    monetary: z.optional(z.string()),
  });
  const proof = z.object({
    verdict: z.enum(VERDICTS),
    at: instant,
    duration_ms: count,
    detail: z.string(),
    versions: z.record(z.string(), z.string()),
  });

  const anomaly = z.object({
    baseline: z.string(),
    findings: z.array(z.object({ kind: z.enum(ANOMALY_KINDS), detail: z.string() })),
    acknowledged: z.optional(z.object({ at: instant, actor: z.string() })),
  });

  /** Loose: fields that a later version added survive an update by this one. */
  return z.looseObject({
    version: z.literal(1),
    type: z.enum(ARCHIVE_TYPES),
    filename: z.string(),
    filepath: z.string(),
    size: count,
    size_human: z.string(),
    hash: sha256,
    compressed: z.boolean(),
    encrypted: z.literal(false),
    timestamp: z.string(),
    created_at: instant,
    directories: z.optional(z.array(z.string())),
    roots: z.optional(z.array(z.object({ name: z.string(), path: z.string() }))),
    job: z.string(),
    source: z.string(),
    run: z.string(),
    trigger: z.enum(TRIGGERS),
    actor: z.string(),
    compression: z.enum(COMPRESSION_TYPES),
    format: z.enum(ARCHIVE_FORMATS),
    started_at: instant,
    duration_ms: count,
    raw_size: count,
    system_identifier: z.optional(z.string()),
    database: z.optional(z.string()),
    server_version: z.optional(z.string()),
    tool_version: z.optional(z.string()),
    locale: z.optional(locale),
    rebuilt: z.optional(z.literal(true)),
    pinned: z.boolean(),
    incomplete: z.boolean(),
    contents: z.union([databaseContents, filesContents]),
    verification: z.object({
      level: z.enum(VERIFY_LEVELS),
      ok: z.boolean(),
      at: instant,
      detail: z.string(),
    }),
    proof: z.optional(proof),
    anomaly: z.optional(anomaly),
  });
}
