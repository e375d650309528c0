import { BackupError } from '../../domain/errors.ts';
import { type CustomHeader, readCustomHeader } from './custom-header.ts';
import { DirectoryArchiveReader } from './directory-archive.ts';

/**
 * Reads the head of the tar of a dump in the directory format: its table of contents begins as a dump in the custom
 * format does. `more` when it goes on behind these bytes; undefined when they are no such archive.
 */
export function readDirectoryHead(head: Buffer): CustomHeader | 'more' | undefined {
  const toc: Buffer[] = [];
  let isToc = true;
  const reader = new DirectoryArchiveReader({
    file: () => undefined,
    data: (piece) => {
      if (isToc) toc.push(piece);
    },
    fileEnd: () => {
      isToc = false;
    },
  });
  try {
    reader.write(head);
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    // Whatever is wrong behind the table of contents, its head can be read.
    if (toc.length === 0) return undefined;
  }
  return readCustomHeader(Buffer.concat(toc));
}
