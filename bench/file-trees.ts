/** Directories to back up, the same on every machine. */
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { contentsOf } from './content.ts';
import { Random } from './random.ts';

/** Of the files of a /usr/share: the share of them that is no larger, and the size in bytes. */
const SIZE_QUANTILES: readonly (readonly [share: number, bytes: number])[] = [
  [0, 16],
  [0.05, 229],
  [0.15, 489],
  [0.25, 693],
  [0.45, 1_165],
  [0.65, 1_798],
  [0.75, 2_780],
  [0.85, 5_807],
  [0.95, 28_000],
  [0.99, 145_000],
  [0.999, 700_000],
  [1, 3_000_000],
];
const FILES_OF_DIRECTORY = 14;
/** In /usr/share half of the small files are compressed, and few of the large ones. */
const SMALL_BYTES = 20_000;
const COMPRESSED_SHARE = { small: 0.45, large: 0.08 };
const TEXT_SHARE = 0.8;
/** One symbolic link to so many files. */
const FILES_OF_LINK = 12;
const TINY_OF_DIRECTORY = 1_000;
const TINY_BYTES_MAX = 100;
const BLOCK_BYTES = 1 << 20;

/** A tree like a /usr/share: 46,000 files are about 500 MB. */
export async function makeSmallFiles(root: string, files: number, signal: AbortSignal): Promise<void> {
  const random = new Random(46_000);
  const { text, records, compressed } = contentsOf(random);
  for (let made = 0; made < files; made += FILES_OF_DIRECTORY) {
    const number = made / FILES_OF_DIRECTORY;
    const parts = [`package-${number % 61}`, `part-${number % 7}`, `section-${number}`];
    const directory = join(root, ...parts);
    mkdirSync(directory, { recursive: true });
    for (let index = 0; index < Math.min(FILES_OF_DIRECTORY, files - made); index += 1) {
      const content = Buffer.allocUnsafe(sizeAt(random.next()));
      const share = content.length < SMALL_BYTES ? COMPRESSED_SHARE.small : COMPRESSED_SHARE.large;
      if (random.next() < share) compressed(content);
      else if (random.next() < TEXT_SHARE) text(content);
      else records(content);
      const name = `file-${index}-of-${number}.dat`;
      writeFileSync(join(directory, name), content);
      if (random.below(FILES_OF_LINK) === 0) symlinkSync(name, join(directory, `link-${index}`));
    }
    await pause(signal);
  }
}

/** One file of log lines, records and compressed blocks, which compresses to about 40 %. */
export async function makeBigFile(path: string, bytes: number, signal: AbortSignal): Promise<void> {
  const random = new Random(2_000);
  const { logLines, records, compressed } = contentsOf(random);
  const kinds = [logLines, logLines, records, logLines, compressed];
  await using file = await open(path, 'wx');
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  for (let at = 0; at < bytes; at += BLOCK_BYTES) {
    signal.throwIfAborted();
    const part = block.subarray(0, Math.min(BLOCK_BYTES, bytes - at));
    kinds[(at / BLOCK_BYTES) % kinds.length]?.(part);
    await file.write(part);
  }
}

/** Very many files of a few bytes. */
export async function makeTinyFiles(root: string, files: number, signal: AbortSignal): Promise<void> {
  const random = new Random(500_000);
  const { text } = contentsOf(random);
  for (let made = 0; made < files; made += TINY_OF_DIRECTORY) {
    const directory = join(root, `directory-${made / TINY_OF_DIRECTORY}`);
    mkdirSync(directory, { recursive: true });
    for (let index = 0; index < Math.min(TINY_OF_DIRECTORY, files - made); index += 1) {
      const content = Buffer.allocUnsafe(random.below(TINY_BYTES_MAX));
      text(content);
      writeFileSync(join(directory, `file-${index}`), content);
    }
    await pause(signal);
  }
}

/** A file that is as long as it is said to be, and takes no space. */
export async function makeSparseFile(path: string, bytes: number): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  writeFileSync(path, '', { flag: 'wx' });
  truncateSync(path, bytes);
}

/** Between the quantiles on a logarithmic scale. */
function sizeAt(share: number): number {
  const above = SIZE_QUANTILES.findIndex(([upTo]) => share <= upTo);
  const [toShare, toBytes] = SIZE_QUANTILES[Math.max(above, 1)] ?? [1, 1];
  const [fromShare, fromBytes] = SIZE_QUANTILES[Math.max(above, 1) - 1] ?? [0, 1];
  const way = (share - fromShare) / (toShare - fromShare);
  return Math.round(fromBytes * (toBytes / fromBytes) ** way);
}

/** Lets signals through between two directories. */
async function pause(signal: AbortSignal): Promise<void> {
  await setImmediate();
  signal.throwIfAborted();
}
