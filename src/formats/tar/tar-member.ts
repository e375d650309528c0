import { BLOCK_BYTES } from './tar-header.ts';

const NAME = { at: 0, bytes: 100 };
const SIZE = { at: 124, bytes: 12 };
const CHECKSUM = { at: 148, bytes: 8 };
/** More does not fit into the octal digits of a header, and is written in base 256. */
const OCTAL_MAX_BYTES = 8 ** 11 - 1;

/** The header block of a file with a short ASCII name, in the ustar format. @param size in bytes. */
export function memberHeader(name: string, size: number): Buffer {
  if (name.length >= NAME.bytes) throw new RangeError(`the name of a member is too long: ${name}`);
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(name, NAME.at, 'latin1');
  block.write('0000600\0', 100, 'latin1');
  block.write('0000000\0', 108, 'latin1');
  block.write('0000000\0', 116, 'latin1');
  if (size <= OCTAL_MAX_BYTES) {
    block.write(`${size.toString(8).padStart(SIZE.bytes - 1, '0')}\0`, SIZE.at, 'latin1');
  } else {
    block[SIZE.at] = 0x80;
    block.writeBigUInt64BE(BigInt(size), SIZE.at + SIZE.bytes - 8);
  }
  block.write('00000000000\0', 136, 'latin1');
  block.fill(0x20, CHECKSUM.at, CHECKSUM.at + CHECKSUM.bytes);
  block.write('0', 156, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, CHECKSUM.at, 'latin1');
  return block;
}

/** What follows the data of a member, to whole blocks. */
export function memberPadding(size: number): Buffer {
  return ZEROS.subarray(0, (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES);
}

/** What ends an archive. */
export function endOfTar(): Buffer {
  return ZEROS;
}

const ZEROS: Buffer = Buffer.alloc(2 * BLOCK_BYTES);
