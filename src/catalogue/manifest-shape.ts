/**
 * Whether a JSON value is a manifest, for the thousands that are: the schema takes ten times as long. What is taken here
 * the schema takes as well; what is not may still be a manifest to the schema, which is then asked.
 */
import {
  ANOMALY_KINDS,
  ARCHIVE_FORMATS,
  ARCHIVE_TYPES,
  COMPRESSION_TYPES,
  type Anomaly,
  type DatabaseContents,
  type DatabaseLocale,
  type FileRemark,
  type FilesContents,
  type Manifest,
  type Proof,
  type Root,
  type TableContents,
  TRIGGERS,
  VERDICTS,
  type Verification,
  VERIFY_LEVELS,
} from '../domain/manifest.ts';

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isFlag: Check = (value) => typeof value === 'boolean';
const isCount: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isSha256: Check = (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
/** As it is written here, but for leap days: those the schema counts out. */
const INSTANT =
  /^\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;
const isInstant: Check = (value) => typeof value === 'string' && INSTANT.test(value);

function oneOf(...values: readonly unknown[]): Check {
  return (value) => values.includes(value);
}

function optional(check: Check): Check {
  return (value) => value === undefined || check(value);
}

function listOf(check: Check): Check {
  return (value) => Array.isArray(value) && value.every((item) => check(item));
}

/** With a check for each field of the type, so that none is forgotten when one is added. */
function record<T>(fields: { readonly [K in keyof Required<T>]: Check }): Check {
  const checks = Object.entries<Check>(fields).map(([name, check]) => ({ name, check }));
  return (value) => isObject(value) && checks.every(({ name, check }) => check(value[name]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const isRemarks = listOf(record<FileRemark>({ path: isText, reason: isText }));
const isFiles = record<FilesContents>({
  entries: isCount,
  bytes: isCount,
  digest: isSha256,
  changed: isRemarks,
  incomplete: isRemarks,
});
const isTable = record<TableContents>({
  schema: isText,
  name: isText,
  rows: isCount,
  bytes: isCount,
  sha256: isSha256,
});
const isDatabase = record<DatabaseContents>({ tables: listOf(isTable), schema_sha256: isSha256 });

const isLocale = record<DatabaseLocale>({
  encoding: isText,
  collate: isText,
  ctype: isText,
  provider: optional(isText),
  provider_locale: optional(isText),
  monetary: optional(isText),
});

const isProof = record<Proof>({
  verdict: oneOf(...VERDICTS),
  at: isInstant,
  duration_ms: isCount,
  detail: isText,
  versions: (value) => isObject(value) && Object.values(value).every(isText),
});

const isAnomaly = record<Anomaly>({
  baseline: isText,
  findings: listOf(record<Anomaly['findings'][number]>({ kind: oneOf(...ANOMALY_KINDS), detail: isText })),
  acknowledged: optional(record<NonNullable<Anomaly['acknowledged']>>({ at: isInstant, actor: isText })),
});

const isVerification = record<Verification>({
  level: oneOf(...VERIFY_LEVELS),
  ok: isFlag,
  at: isInstant,
  detail: isText,
});

const isWhole = record<Manifest>({
  version: oneOf(1),
  type: oneOf(...ARCHIVE_TYPES),
  filename: isText,
  filepath: isText,
  size: isCount,
  size_human: isText,
  hash: isSha256,
  compressed: isFlag,
  encrypted: oneOf(false),
  timestamp: isText,
  created_at: isInstant,
  directories: optional(listOf(isText)),
  roots: optional(listOf(record<Root>({ name: isText, path: isText }))),
  job: isText,
  source: isText,
  run: isText,
  trigger: oneOf(...TRIGGERS),
  actor: isText,
  compression: oneOf(...COMPRESSION_TYPES),
  format: oneOf(...ARCHIVE_FORMATS),
  started_at: isInstant,
  duration_ms: isCount,
  raw_size: isCount,
  system_identifier: optional(isText),
  database: optional(isText),
  server_version: optional(isText),
  tool_version: optional(isText),
  locale: optional(isLocale),
  rebuilt: optional(oneOf(true)),
  pinned: isFlag,
  incomplete: isFlag,
  contents: (value) => isFiles(value) || isDatabase(value),
  verification: isVerification,
  proof: optional(isProof),
  anomaly: optional(isAnomaly),
});

export function isManifest(json: unknown): json is Manifest {
  return isWhole(json);
}
