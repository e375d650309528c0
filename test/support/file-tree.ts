import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packTree, type PackOptions } from '../../src/sources/files/pack.ts';
import { RemarkCollector } from '../../src/sources/files/remarks.ts';
import type { CaptureRemarks } from '../../src/domain/ports.ts';

export const isRoot = process.getuid?.() === 0;

/** A fresh directory that is gone, with whatever modes lie in it, when the scope ends. */
export function scratch(): Disposable & { path: string } {
  const path = fs.mkdtempSync(join(tmpdir(), 'cofre-files-'));
  return { path, [Symbol.dispose]: () => fs.rmSync(path, { recursive: true, force: true }) };
}

/** A path below a directory whose name is any bytes. */
export function below(directory: string, name: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name)]);
}

/** Runs a pack to its end in this thread. */
export function pack(
  options: Partial<PackOptions> & Pick<PackOptions, 'roots'>,
  chunkBytes = 1_048_576,
): {
  archive: Buffer;
  remarks: CaptureRemarks;
} {
  const remarks = new RemarkCollector();
  const memory = () => Buffer.allocUnsafeSlow(chunkBytes);
  const chunks = [...packTree({ exclude: [], leaveOut: [], ...options }, remarks, memory)];
  return { archive: Buffer.concat(chunks), remarks: remarks.collected() };
}

/** GNU tar, without what its environment might add; its stdout. Throws with its stderr. */
export function tar(args: string[], input?: Buffer, env: Record<string, string> = {}): string {
  return execFileSync('tar', args, {
    input,
    env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', ...env },
    maxBuffer: 64 * 1024 * 1024,
    encoding: 'latin1',
    // Its remarks on old and future times are expected; a failure throws with them.
    stdio: 'pipe',
  });
}

export function setMtime(path: string, when: string): void {
  // Node's own utimes takes times before 1970 for "now".
  execFileSync('touch', ['-h', '-d', when, '--', path]);
}

export interface DiskEntry {
  /** Hex of the path's bytes. */
  path: string;
  type: string;
  mode: string;
  uid: number;
  gid: number;
  size: number;
  mtime_s: bigint;
  /** SHA-256 of a file's data, hex of a link's target, numbers of a device. */
  data: string;
  /** Hex of the first path with the same inode. */
  first: string;
}

/** What lies below a directory, in the order of an archive, found without any code of the project. */
export function listDisk(root: string, as: string): DiskEntry[] {
  const found: DiskEntry[] = [];
  const inodes = new Map<string, string>();
  const visit = (path: Buffer, member: Buffer): void => {
    const stat = fs.lstatSync(path, { bigint: true });
    if (stat.isSocket()) return;
    const key = `${stat.dev}/${stat.ino}`;
    const hex = member.toString('hex');
    const first = stat.isDirectory() ? hex : (inodes.get(key) ?? hex);
    inodes.set(key, first);
    found.push({
      path: hex,
      ...describe(path, stat),
      mode: (stat.mode & 0o7777n).toString(8).padStart(4, '0'),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      mtime_s: floorSeconds(stat.mtimeNs),
      first,
    });
    if (!stat.isDirectory()) return;
    for (const name of fs.readdirSync(path, { encoding: 'buffer' }).sort((a, b) => Buffer.compare(a, b))) {
      visit(Buffer.concat([path, Buffer.from('/'), name]), Buffer.concat([member, Buffer.from('/'), name]));
    }
  };
  visit(Buffer.from(root), Buffer.from(as));
  return found;
}

/** The digest of docs/format.md, recomputed from what lies on disk. */
export function digestOfDisk(entries: DiskEntry[]): string {
  const digest = createHash('sha256');
  for (const entry of entries) {
    const isLink = entry.first !== entry.path;
    const type = isLink ? 'link' : entry.type;
    digest.update(Buffer.from(entry.path, 'hex'));
    digest.update(`\0${type}\0${entry.mode}\0${isLink ? 0 : entry.size}\0${entry.mtime_s}\0`);
    if (isLink) digest.update(Buffer.from(entry.first, 'hex'));
    else if (type === 'symlink') digest.update(Buffer.from(entry.data, 'hex'));
    else if (type === 'file') digest.update(entry.data);
    digest.update('\n');
  }
  return digest.digest('hex');
}

function describe(path: Buffer, stat: fs.BigIntStats): Pick<DiskEntry, 'type' | 'size' | 'data'> {
  if (stat.isFile()) {
    const data = createHash('sha256').update(fs.readFileSync(path)).digest('hex');
    return { type: 'file', size: Number(stat.size), data };
  }
  if (stat.isSymbolicLink()) {
    return { type: 'symlink', size: 0, data: fs.readlinkSync(path, { encoding: 'buffer' }).toString('hex') };
  }
  if (stat.isDirectory()) return { type: 'directory', size: 0, data: '' };
  if (stat.isFIFO()) return { type: 'fifo', size: 0, data: '' };
  return { type: stat.isBlockDevice() ? 'block' : 'character', size: 0, data: String(stat.rdev) };
}

function floorSeconds(ns: bigint): bigint {
  return ns >= 0n ? ns / 1_000_000_000n : -((-ns + 999_999_999n) / 1_000_000_000n);
}

/** Lengths of paths, below a member with a 4-byte name, that are hard on a tar writer. */
const PATH_LENGTHS = [98, 99, 100, 101, 102, 154, 155, 156, 157, 200, 254, 255, 256, 259];

/** Fills a directory with one of everything that a file system can hold. */
export function fillWithEverything(top: string): void {
  const at = (name: string | Buffer): Buffer => below(top, name);
  const file = (name: string | Buffer, data: string | Buffer = 'data\n'): void =>
    fs.writeFileSync(at(name), data);
  file('plain', 'hello\n');
  file('empty', '');
  for (const size of [511, 512, 513, 1_048_575, 1_048_576, 3_000_000])
    file(`size-${size}`, randomBytes(size));
  fs.mkdirSync(at('empty-directory'));
  for (const length of PATH_LENGTHS) {
    file(`f${'x'.repeat(length - 6)}`);
    fs.mkdirSync(at(`d${'x'.repeat(Math.min(length - 6, 253))}`));
    fs.symlinkSync(`t${'x'.repeat(length - 1)}`, at(`link-${length}`));
  }
  // Deep, with components short enough for the ustar prefix at some depths and not at others.
  let deep = 'deep';
  for (let depth = 0; depth < 12; depth += 1) {
    fs.mkdirSync(at(deep));
    file(`${deep}/file`);
    deep += `/${String(depth).repeat(30).slice(0, 30)}`;
  }
  const awkward = [
    '-rf',
    '--help',
    ' ',
    'tail ',
    'a\nb',
    'back\\slash',
    '"quoted"',
    '*',
    'a=b',
    '%s',
    '~',
    '.hidden',
    '\x01',
  ];
  for (const name of awkward) file(name);
  const notAscii = [
    Buffer.from('ação 日本語'),
    Buffer.from('é'.repeat(90)),
    Buffer.from([0x66, 0xff, 0xfe]),
    Buffer.concat([Buffer.from('long-'), Buffer.alloc(150, 0xe9)]),
    Buffer.concat([Buffer.from('longer-'), Buffer.alloc(240, 0xfc)]),
  ];
  fs.mkdirSync(at('names'));
  for (const [index, name] of notAscii.entries()) {
    file(name);
    const directory = Buffer.concat([Buffer.from('names/'), name]);
    fs.mkdirSync(at(directory));
    file(Buffer.concat([directory, Buffer.from('/child')]));
    fs.symlinkSync(name, at(`link-to-${index}`));
    fs.symlinkSync('plain', at(Buffer.concat([name, Buffer.from('-l')]).subarray(-250)));
    fs.linkSync(at(name), at(Buffer.concat([directory, Buffer.from('/hard')])));
  }
  fs.symlinkSync('plain', at('link'));
  fs.symlinkSync('nowhere/at all', at('dangling'));
  fs.symlinkSync('/etc/passwd', at('absolute'));
  fs.symlinkSync('..', at('up'));
  fs.linkSync(at('plain'), at('plain-again'));
  fs.linkSync(at('plain'), at('empty-directory/plain-third'));
  fs.linkSync(at('dangling'), at('dangling-again'));
  execFileSync('mkfifo', [`${top}/fifo`]);
  file('setuid');
  file('read-only');
  fs.mkdirSync(at('sticky'));
  fs.mkdirSync(at('setgid'));
  if (isRoot) {
    fs.chownSync(at('setuid'), 1, 2);
    fs.chownSync(at('read-only'), 3_000_000, 4_000_000);
    fs.chownSync(at('sticky'), 65_534, 65_534);
    fs.lchownSync(at('link'), 12, 34);
  }
  fs.chmodSync(at('setuid'), 0o4751);
  fs.chmodSync(at('read-only'), 0o400);
  fs.chmodSync(at('sticky'), 0o1777);
  fs.chmodSync(at('setgid'), 0o2710);
  const times = [
    '@0',
    '@1',
    '@-1',
    '1969-12-31 23:59:58.5 UTC',
    '1910-01-01 UTC',
    '@8589934591',
    '@8589934592',
    '@1700000000.999999999',
  ];
  for (const [index, when] of times.entries()) {
    file(`time-${index}`);
    setMtime(`${top}/time-${index}`, when);
    file(`tíme-${index}`);
    setMtime(`${top}/tíme-${index}`, when);
  }
  setMtime(`${top}/link`, '@1234567890.5');
  setMtime(`${top}/empty-directory`, '@1234567890.5');
  setMtime(top, '@1234567890');
}
