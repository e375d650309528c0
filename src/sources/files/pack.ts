import { type BigIntStats, constants, readlinkSync } from 'node:fs';
import { compileExclude } from './exclude.ts';
import { HardLinks } from './hard-links.ts';
import { identitiesOf } from './identity.ts';
import { readOwnerNames } from './owner-names.ts';
import { type Packing, packFile } from './pack-file.ts';
import { PackOutput } from './pack-output.ts';
import type { RawName } from './raw-name.ts';
import type { RemarkSink } from './remarks.ts';
import type { TarEntryType } from './header-block.ts';
import { codeOf, isGone, type PackRoot, type WalkedOther, walkTree } from './walk.ts';

export interface PackOptions {
  /** In the order of the archive. */
  roots: readonly PackRoot[];
  /** Globs, see compileExclude. */
  exclude: readonly string[];
  /** Absolute paths of directories to leave out wherever the walk meets them. */
  leaveOut: readonly string[];
}

/** What a Date can hold, which is what `Header` takes: the year 275760. */
const MAX_MTIME_NS = 8_640_000_000_000_000_000_000n;

/**
 * Packs directories into one tar stream, reading synchronously: meant for a thread of its own. What happens to
 * single entries goes to `remarks` and does not end the archive. Throws SOURCE_MISSING or UNREADABLE when a whole
 * root is not there.
 * @param memory gives what each chunk is made in, see PackOutput.
 */
export function* packTree(
  options: PackOptions,
  remarks: RemarkSink,
  memory: () => Buffer,
): Generator<Buffer, void, undefined> {
  const output = new PackOutput(memory);
  const links = new HardLinks();
  const owners = readOwnerNames();
  const filter = { exclude: compileExclude(options.exclude), leaveOut: identitiesOf(options.leaveOut) };
  const describe: Packing['describe'] = (type, member, link, stat) => ({
    type,
    path: member,
    link,
    mode: Number(stat.mode),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    user: owners.user(Number(stat.uid)),
    group: owners.group(Number(stat.gid)),
    size: type === 'File' ? Number(stat.size) : 0,
    mtime_ns: clamp(stat.mtimeNs),
    deviceMajor: isDevice(type) ? deviceMajor(stat.rdev) : 0,
    deviceMinor: isDevice(type) ? deviceMinor(stat.rdev) : 0,
  });
  /** Whether the data of this inode is in the archive: then only a link to that is written. */
  const linked = (member: RawName, stat: BigIntStats): boolean => {
    const first = links.meet(stat);
    if (first !== undefined) output.header(describe('Link', member, first.member, first.stat));
    return first !== undefined;
  };
  const packing: Packing = { output, remarks, describe, linked };
  for (const root of options.roots) {
    for (const found of walkTree(root, filter, remarks)) {
      if (!output.hasRoomForEntry()) yield output.take();
      const { member } = found;
      if (found.isFile) {
        const archived = yield* packFile(found, packing);
        if (archived !== undefined) links.archived(archived, member);
        continue;
      }
      const { stat } = found;
      if (!stat.isDirectory() && linked(member, stat)) continue;
      const type = typeOf(stat);
      if (type === undefined) {
        remarks.changed(member, 'socket: not archived');
        continue;
      }
      const target = type === 'SymbolicLink' ? readTarget(found, remarks) : '';
      if (target === undefined) continue;
      output.header(describe(type, member, target, stat));
      if (type !== 'Directory') links.archived(stat, member);
    }
  }
  if (!output.hasRoomForEntry()) yield output.take();
  output.endOfArchive();
  yield output.take();
}

function readTarget(found: WalkedOther, remarks: RemarkSink): RawName | undefined {
  try {
    return readlinkSync(found.path, { encoding: 'latin1' });
  } catch (error) {
    const code = codeOf(error);
    // EINVAL: no symbolic link any more.
    if (isGone(code)) remarks.changed(found.member, 'vanished before it was read');
    else if (code === 'EINVAL') remarks.changed(found.member, 'replaced before it was read');
    else remarks.incomplete(found.member, `unreadable: ${code}`);
    return undefined;
  }
}

/** Of all but regular files. Undefined for a socket, which has no meaning without the program that made it. */
function typeOf(stat: BigIntStats): TarEntryType | undefined {
  switch (Number(stat.mode) & constants.S_IFMT) {
    case constants.S_IFDIR:
      return 'Directory';
    case constants.S_IFLNK:
      return 'SymbolicLink';
    case constants.S_IFIFO:
      return 'FIFO';
    case constants.S_IFCHR:
      return 'CharacterDevice';
    case constants.S_IFBLK:
      return 'BlockDevice';
    default:
      return undefined;
  }
}

function isDevice(type: TarEntryType): boolean {
  return type === 'CharacterDevice' || type === 'BlockDevice';
}

function clamp(mtime_ns: bigint): bigint {
  if (mtime_ns > MAX_MTIME_NS) return MAX_MTIME_NS;
  return mtime_ns < -MAX_MTIME_NS ? -MAX_MTIME_NS : mtime_ns;
}

/** How Linux packs a device number into 64 bits: gnu_dev_major and gnu_dev_minor of the C library. */
function deviceMajor(rdev: bigint): number {
  return Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn));
}

function deviceMinor(rdev: bigint): number {
  return Number((rdev & 0xffn) | ((rdev >> 12n) & ~0xffn & 0xffff_ffffn));
}
