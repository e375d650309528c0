import { type FileHandle, open } from 'node:fs/promises';

const READ_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export interface EndedLine {
  /** Without its end. */
  line: string;
  /** Where the next line begins, in bytes. */
  end: number;
}

/**
 * The lines of a file from a place on, those only that have their end: the last one may still be growing. A file
 * that is not there has none.
 */
export async function* linesForwards(path: string, from: number): AsyncGenerator<EndedLine, void, undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    /** What was read and has no end yet; it begins at `start`. */
    let rest: Buffer = Buffer.alloc(0);
    let start = from;
    for (;;) {
      const { bytesRead, buffer } = await file.read(
        Buffer.alloc(READ_BYTES),
        0,
        READ_BYTES,
        start + rest.length,
      );
      if (bytesRead === 0) return;
      rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      for (let newline = rest.indexOf(NEWLINE); newline !== -1; newline = rest.indexOf(NEWLINE)) {
        start += newline + 1;
        yield { line: rest.toString('utf8', 0, newline), end: start };
        rest = rest.subarray(newline + 1);
      }
    }
  } finally {
    await file.close();
  }
}
