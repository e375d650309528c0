import { createCipheriv } from 'node:crypto';

/** Bytes that no codec makes smaller; the same in every run. */
export function noise(bytes: number): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

/** Rows of a table: they repeat over distances that reach from one block into the next. */
export function rows(bytes: number): Buffer {
  const lines = [];
  for (let row = 0, length = 0; length < bytes; row += 1) {
    const line = `${row}\tcustomer ${row % 97}\t${(row * 7919) % 1000}\n`;
    lines.push(line);
    length += line.length;
  }
  return Buffer.from(lines.join('')).subarray(0, bytes);
}

/** As many bytes, of which a third each compresses not at all, by half, and well. */
export function variedBytes(bytes: number): Buffer {
  const third = Math.floor(bytes / 3);
  const half = Buffer.from(noise(Math.ceil(third / 2)).toString('hex')).subarray(0, third);
  return Buffer.concat([noise(third), half, rows(bytes - 2 * third)]);
}
