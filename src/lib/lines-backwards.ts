import { type FileHandle, open } from 'node:fs/promises';

const READ_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export interface PlacedLine {
  /** Without its end. */
  line: string;
  /** Where it begins in the file, in bytes. */
  offset: number;
}

/**
 * The lines of a file from its end to its beginning, read only as far as they are asked for. A file that is not
 * there has none.
 * @param before only lines that end at or before this offset.
 */
export async function* linesBackwards(
  path: string,
  before?: number,
): AsyncGenerator<PlacedLine, void, undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    const { size } = await file.stat();
    let position = Math.min(before ?? size, size);
    /** What was read and begins in the middle of a line. */
    let rest: Buffer = Buffer.alloc(0);
    while (position > 0) {
      const length = Math.min(READ_BYTES, position);
      const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, position - length);
      position -= length;
      rest = Buffer.concat([buffer.subarray(0, bytesRead), rest]);
      for (;;) {
        // The newline at the end of the last line begins no other.
        const end = rest.at(-1) === NEWLINE ? rest.length - 1 : rest.length;
        const start = end === 0 ? 0 : rest.lastIndexOf(NEWLINE, end - 1) + 1;
        if (start === 0) break;
        yield { line: rest.toString('utf8', start, end), offset: position + start };
        rest = rest.subarray(0, start);
      }
    }
    const line = rest.toString().replace(/\n$/, '');
    if (line !== '') yield { line, offset: 0 };
  } finally {
    await file.close();
  }
}
