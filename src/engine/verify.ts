import { describeContentsDifference } from '../domain/contents-difference.ts';
import { describeContents } from '../domain/describe-contents.ts';
import { type BackupError, type ErrorCode, isStop, toBackupError } from '../domain/errors.ts';
import {
  type Contents,
  isFilesContents,
  type Manifest,
  type Verification,
  type VerifyLevel,
} from '../domain/manifest.ts';
import type { ByteStream, Inspectable, OpenInspector } from '../domain/ports.ts';
import { formatSize } from '../domain/size.ts';
import { Meter } from '../lib/digest.ts';
import { counted, storedBytes } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import type { Scope } from './events.ts';

/** What the bytes of an archive are held against. */
export type Expected = Pick<Manifest, 'size' | 'hash' | 'contents' | 'compression'> & Inspectable;

export interface Verdict {
  ok: boolean;
  detail: string;
}

export interface VerifyResult {
  filename: string;
  valid: boolean;
  level: VerifyLevel;
  detail: string;
}

/** Beside what stops the work, these say that a check could not be made, and nothing about the archive. */
const NO_VERDICT = new Set<ErrorCode>(['TOOL_MISSING', 'SERVER_TOO_NEW', 'INTERNAL']);

/** Of the errors of reading only EIO is the archive's: no permission or no descriptor left says nothing of its bytes. */
function isOurs({ code, cause }: BackupError): boolean {
  return code === 'IO_FAILED' && (cause as NodeJS.ErrnoException | undefined)?.code !== 'EIO';
}

/**
 * Reads an archive to its end and compares: at level `checksum` size and SHA-256 of the stored bytes, at
 * `contents` also that they decode to the end and hold what was seen while they were written. One pass.
 * Throws only when no verdict can be given.
 * @param openInspector for whoever wants more of the inspector than its contents.
 */
export async function verifyBytes(
  context: EngineContext,
  stored: ByteStream,
  expected: Expected,
  level: VerifyLevel,
  signal: AbortSignal,
  openInspector: OpenInspector = context.openInspector,
): Promise<Verdict> {
  const meter = new Meter();
  let contents: Contents | undefined;
  try {
    if (level === 'contents') {
      const decoded = context.openCodec(expected.compression).decode(meter.tap(stored));
      await using inspector = await openInspector(expected, signal);
      for await (const chunk of decoded) await inspector.write(chunk);
      contents = await inspector.end();
    } else {
      for await (const chunk of meter.tap(stored)) void chunk;
    }
  } catch (error) {
    signal.throwIfAborted();
    const fault = toBackupError(error);
    if (isStop(fault.code) || NO_VERDICT.has(fault.code) || isOurs(fault)) throw fault;
    return { ok: false, detail: fault.message };
  }
  if (meter.bytes !== expected.size) {
    return { ok: false, detail: `${meter.bytes} bytes are stored, ${expected.size} were written` };
  }
  if (meter.sha256() !== expected.hash) {
    return {
      ok: false,
      detail: 'the SHA-256 of the stored bytes is not the one recorded when they were written',
    };
  }
  if (contents === undefined)
    return { ok: true, detail: `${formatSize(meter.bytes)} read, SHA-256 as written` };
  const difference = describeContentsDifference(expected.contents, contents);
  if (difference !== undefined) return { ok: false, detail: difference };
  const as = isFilesContents(contents) ? 'as written' : 'as dumped';
  return { ok: true, detail: `${describeContents(contents)}, ${as}` };
}

/**
 * Verifies one backup of the catalogue and records the result in its manifest.
 * @param onBytes is told of the stored bytes as they are read.
 */
export async function verifyArchive(
  context: EngineContext,
  filename: string,
  level: VerifyLevel,
  scope: Scope,
  signal: AbortSignal,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<VerifyResult> {
  const manifest = await context.catalogue.read(filename);
  const stored = counted(storedBytes(context, manifest, signal), onBytes);
  const from = context.clock.now();
  const { ok, detail } = await verifyBytes(context, stored, manifest, level, signal);
  const verify_ms = elapsedSince(context.clock, from);
  context.events.archiveVerified({ ...scope, source: manifest.source }, filename, ok, detail, verify_ms);
  const verification: Verification = { level, ok, at: context.clock.now().toISOString(), detail };
  try {
    await context.catalogue.update(filename, (current) => ({ ...current, verification }), signal);
  } catch (error) {
    const fault = toBackupError(error);
    if (signal.aborted || fault.code === 'ARCHIVE_UNKNOWN') throw fault;
    // A full disk says nothing about the archive.
    context.events.failed('verify', { ...scope, source: manifest.source }, fault);
    return { filename, valid: ok, level, detail: `${detail}; this could not be recorded: ${fault.message}` };
  }
  return { filename, valid: ok, level, detail };
}
