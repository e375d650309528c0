import { crc32, deflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const BIT_DEPTH = 8;
const TRUECOLOUR = 2;

/**
 * A square picture in one PNG: a gradient whose colours follow from the seed.
 * Format: https://www.w3.org/TR/png-3/#5Chunk-layout
 */
export function picture(seed: number, side_px: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side_px, 0);
  header.writeUInt32BE(side_px, 4);
  header.writeUInt8(BIT_DEPTH, 8);
  header.writeUInt8(TRUECOLOUR, 9);
  // Each row starts with the number of its filter: 0, none.
  const rowBytes = 1 + side_px * 3;
  const pixels = Buffer.alloc(rowBytes * side_px);
  for (let y = 0; y < side_px; y += 1) {
    for (let x = 0; x < side_px; x += 1) {
      const at = y * rowBytes + 1 + x * 3;
      pixels[at] = (x * 3 + seed * 40) % 256;
      pixels[at + 1] = (y * 3 + seed * 90) % 256;
      pixels[at + 2] = (x * y + seed * 20) % 256;
    }
  }
  const chunks = [chunk('IHDR', header), chunk('IDAT', deflateSync(pixels)), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([SIGNATURE, ...chunks]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}
