import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { parseArchiveName } from '../domain/archive-name.ts';
import { BackupError } from '../domain/errors.ts';
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

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().nonnegative();
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
  provider: z.string().optional(),
  provider_locale: z.string().optional(),
  monetary: z.string().optional(),
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
  acknowledged: z.object({ at: instant, actor: z.string() }).optional(),
});

/** Loose: fields that a later version added survive an update by this one. */
const manifestSchema = z.looseObject({
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
  directories: z.array(z.string()).optional(),
  roots: z.array(z.object({ name: z.string(), path: z.string() })).optional(),
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
  system_identifier: z.string().optional(),
  database: z.string().optional(),
  server_version: z.string().optional(),
  tool_version: z.string().optional(),
  locale: locale.optional(),
  rebuilt: z.literal(true).optional(),
  pinned: z.boolean(),
  incomplete: z.boolean(),
  contents: z.union([databaseContents, filesContents]),
  verification: z.object({ level: z.enum(VERIFY_LEVELS), ok: z.boolean(), at: instant, detail: z.string() }),
  proof: proof.optional(),
  anomaly: anomaly.optional(),
});

/** The JSON text of a manifest file. */
export function formatManifest(manifest: Manifest): string {
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/**
 * A manifest from the text of `<filename>.json` in the location `root`. Its `filepath` is derived, never
 * trusted. Throws MANIFEST_CORRUPT when the text is no manifest, or that of another archive.
 */
export function parseManifest(text: string, filename: string, root: string): Manifest {
  const name = parseArchiveName(filename);
  const json = parseJson(text);
  if (json === undefined) throw corrupt(filename, 'it is not JSON');
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw corrupt(filename, `${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'invalid'}`);
  }
  const manifest = parsed.data as Manifest;
  if (manifest.filename !== filename || name === undefined) {
    throw corrupt(filename, `it names the archive ${JSON.stringify(manifest.filename)}`);
  }
  if (
    manifest.source !== name.source ||
    manifest.type !== name.type ||
    manifest.timestamp !== name.timestamp
  ) {
    throw corrupt(filename, 'its source, type or timestamp is not that of its filename');
  }
  return { ...manifest, filepath: join(root, name.type, filename) };
}

export async function readManifest(path: string, filename: string, root: string): Promise<Manifest> {
  return parseManifest(await readFile(path, 'utf8'), filename, root);
}

/** For loading thousands at once, where a promise for each costs more than the read. */
export function readManifestSync(path: string, filename: string, root: string): Manifest {
  return parseManifest(readFileSync(path, 'utf8'), filename, root);
}

/** Undefined, which no JSON text means, when it is none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function corrupt(filename: string, why: string): BackupError {
  return new BackupError('MANIFEST_CORRUPT', `the manifest of ${filename} cannot be read: ${why}`, {
    path: filename,
    hint: 'The archive itself is untouched and restores by hand. Repair the manifest from a copy, or move it away.',
  });
}
