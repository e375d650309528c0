import { parseArchiveName, parseTimestamp } from '../domain/archive-name.ts';
import { describeContents } from '../domain/describe-contents.ts';
import { BackupError } from '../domain/errors.ts';
import {
  type Contents,
  type FileRemark,
  isFilesContents,
  isIncomplete,
  type Manifest,
} from '../domain/manifest.ts';
import type { ByteStream, Inspectable } from '../domain/ports.ts';
import { formatSize } from '../domain/size.ts';
import { Meter } from '../lib/digest.ts';
import { displayBytes } from '../lib/display-bytes.ts';
import { counted, storedBytes } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';

/** Who wrote an archive, and why. */
export interface Origin extends Pick<Manifest, 'job' | 'run' | 'trigger' | 'actor'> {
  /** Whether its run could not read everything of its sources. */
  wasIncomplete: boolean;
}

/** What the raw bytes of an archive say. */
type Derived = Pick<Manifest, 'contents' | 'directories' | 'server_version' | 'tool_version'>;

const SLASH = 0x2f;
/** Nobody knows any more what was left out; that something was must not be forgotten. */
const LOST_REMARK: FileRemark = {
  path: '...',
  reason:
    'the run that wrote this archive was incomplete; what of its sources it could not read is not recorded any more',
};

/**
 * The manifest of an archive that has none, as far as the archive and its name tell: read to its end, which is all
 * the verification that there can be. Throws what decoding and inspecting throw, and ARCHIVE_MISSING.
 * @param onBytes is told of the stored bytes as they are read.
 */
export async function manifestFromArchive(
  context: EngineContext,
  filename: string,
  { wasIncomplete, ...origin }: Origin,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Manifest> {
  const name = parseArchiveName(filename);
  const at = name === undefined ? undefined : parseTimestamp(name.timestamp)?.toISOString();
  if (name === undefined || at === undefined)
    throw new BackupError('ARCHIVE_UNKNOWN', `${filename} is not the name of an archive`);
  const { type, source, timestamp, format, compression } = name;
  const stored = new Meter();
  const bytes = counted(storedBytes(context, { filename }, signal), onBytes);
  let raw_size = 0;
  const raw = counted(context.openCodec(compression).decode(stored.tap(bytes)), (more) => {
    raw_size += more;
  });
  const derived =
    type === 'files'
      ? await deriveFiles(context, raw, wasIncomplete, { format, source }, signal)
      : await deriveDump(context, raw, { format, source }, signal);
  return {
    version: 1,
    type,
    filename,
    filepath: context.location.archivePath(type, filename),
    size: stored.bytes,
    size_human: formatSize(stored.bytes),
    hash: stored.sha256(),
    compressed: compression !== 'none',
    encrypted: false,
    timestamp,
    created_at: at,
    ...origin,
    source,
    compression,
    format,
    started_at: at,
    duration_ms: 0,
    raw_size,
    ...derived,
    rebuilt: true,
    pinned: false,
    incomplete: isIncomplete(derived.contents),
    verification: {
      level: 'contents',
      ok: true,
      at: context.clock.now().toISOString(),
      detail: `${describeContents(derived.contents)}; it decodes to its end, and there was nothing to compare it with`,
    },
  };
}

async function deriveDump(
  context: EngineContext,
  raw: ByteStream,
  archive: Inspectable,
  signal: AbortSignal,
): Promise<Derived> {
  await using surveyor = await context.openSurveyor(archive, () => false, signal);
  for await (const chunk of raw) await surveyor.write(chunk);
  const contents = await surveyor.end();
  const { server_version: server, tool_version: tool } = surveyor.survey();
  return {
    ...(server === undefined ? {} : { server_version: server }),
    ...(tool === undefined ? {} : { tool_version: tool }),
    contents,
  };
}

async function deriveFiles(
  context: EngineContext,
  raw: ByteStream,
  wasIncomplete: boolean,
  archive: Inspectable,
  signal: AbortSignal,
): Promise<Derived> {
  const directories = new Set<string>();
  const lister = context.openLister(({ path }) => directories.add(displayBytes(topOf(path))), {
    digests: false,
  });
  await using inspector = await context.openInspector(archive, signal);
  for await (const chunk of raw) {
    await inspector.write(chunk);
    lister.write(chunk);
  }
  const contents = await inspector.end();
  return { directories: [...directories], contents: wasIncomplete ? withRemark(contents) : contents };
}

/** The first part of a path. */
function topOf(path: Buffer): Buffer {
  const slash = path.indexOf(SLASH);
  return slash === -1 ? path : path.subarray(0, slash);
}

function withRemark(contents: Contents): Contents {
  return isFilesContents(contents) ? { ...contents, incomplete: [LOST_REMARK] } : contents;
}
