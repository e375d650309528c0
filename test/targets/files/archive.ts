/** Tar archives made by hand, as no honest packer makes them. */
import type { ByteStream } from '../../../src/domain/ports.ts';
import type { ExtractOptions, TreePlan } from '../../../src/domain/restore-ports.ts';
import { DirectoryTarget } from '../../../src/targets/files/directory-target.ts';

export interface Member {
  path: string | Buffer;
  /** The type flag: `0` file, `1` link, `2` symlink, `3` character, `4` block, `5` directory, `6` FIFO. */
  flag?: string;
  link?: string;
  data?: string;
  mode?: number;
  mtime_s?: number;
  uid?: number;
  uname?: string;
}

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, '0')}\0`;
}

function memberOf({ path, flag = '0', link = '', data = '', ...rest }: Member): Buffer {
  const header = Buffer.alloc(512);
  const { mode = flag === '5' ? 0o755 : 0o644, mtime_s = 1_000, uid = 0, uname = '' } = rest;
  Buffer.from(path).copy(header, 0);
  header.write(octal(mode, 7), 100, 'latin1');
  header.write(octal(uid, 7), 108, 'latin1');
  header.write(octal(uid, 7), 116, 'latin1');
  header.write(octal(data.length, 11), 124, 'latin1');
  header.write(octal(mtime_s, 11), 136, 'latin1');
  header.write(flag, 156, 'latin1');
  header.write(link, 157, 'utf8');
  header.write('ustar\x0000', 257, 'latin1');
  header.write(uname, 265, 'latin1');
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)} `, 148, 'latin1');
  return Buffer.concat([
    header,
    Buffer.from(data, 'latin1'),
    Buffer.alloc((512 - (data.length % 512)) % 512),
  ]);
}

export function archiveOf(...members: Member[]): Buffer {
  return Buffer.concat([...members.map(memberOf), Buffer.alloc(1_024)]);
}

/** The bytes in chunks of odd sizes. */
export async function* streamOf(archive: Buffer, chunkBytes = 10_007): ByteStream {
  for (let at = 0; at < archive.length; at += chunkBytes) yield archive.subarray(at, at + chunkBytes);
}

export const SIGNAL = new AbortController().signal;
export const OPTIONS: ExtractOptions = { paths: [], overwrite: false, outsideLinks: false, owners: false };

export function examine(archive: Buffer, options: Partial<ExtractOptions> = {}, path = '/nowhere'): TreePlan {
  const examiner = new DirectoryTarget(path).examine({ ...OPTIONS, ...options });
  for (let at = 0; at < archive.length; at += 777) examiner.write(archive.subarray(at, at + 777));
  return examiner.end();
}

export function extract(
  archive: Buffer,
  path: string,
  options: Partial<ExtractOptions> = {},
  check: (directory: string) => Promise<void> = async () => undefined,
): Promise<TreePlan> {
  return new DirectoryTarget(path).extract(streamOf(archive), { ...OPTIONS, ...options }, check, SIGNAL);
}

/** What a promise was rejected with. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expectFailure(),
    (error: unknown) => error,
  );
}

function expectFailure(): never {
  throw new Error('this should have failed');
}
