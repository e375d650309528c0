import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BackupError } from '../../domain/errors.ts';
import { isThere } from '../../lib/is-there.ts';

/** The table of contents of a dump in the directory format. */
export const TOC_NAME = 'toc.dat';
/** What pg_restore prints of one entry begins with its number: `215; 1259 16386 TABLE DATA sales orders postgres`. */
const ENTRY = /^(\d+);(?<isObjects> 0 0 BLOBS - )?/;
/** A line of the list of large objects: `16914 blob_16914.dat`. */
const LARGE_OBJECT = /^\d+ (blob_\d+\.dat)$/;
/** Before PostgreSQL 17 a dump has one list of large objects. */
const ONLY_LIST = 'blobs.toc';

/**
 * The names of the files of a dump in the directory format, in the order in which pg_restore wants them of an archive
 * that it cannot seek in: the table of contents, then the data of each of its entries, a large object before the list
 * that names it. Throws TOOL_FAILED for a list that is no such list.
 * @param list what `pg_restore --list` prints of the directory.
 */
export async function* dumpMembers(directory: string, list: string): AsyncGenerator<string> {
  yield TOC_NAME;
  for (const line of list.split('\n')) {
    const entry = ENTRY.exec(line);
    if (entry === null) continue;
    const [, id] = entry;
    if (entry.groups?.['isObjects'] === undefined) {
      const name = `${id}.dat`;
      // Whatever else stands in the way is no reason to leave a table's data out.
      if (await isThere(join(directory, name))) yield name;
      continue;
    }
    const ofEntry = `blobs_${id}.toc`;
    const name = (await isThere(join(directory, ofEntry))) ? ofEntry : ONLY_LIST;
    yield* largeObjects(join(directory, name));
    yield name;
  }
}

/** Line by line: there may be millions. */
async function* largeObjects(path: string): AsyncGenerator<string> {
  const file = createReadStream(path);
  try {
    for await (const line of createInterface({ input: file })) {
      const name = LARGE_OBJECT.exec(line)?.[1];
      if (name === undefined) throw malformed(path, line);
      yield name;
    }
  } finally {
    file.destroy();
  }
}

function malformed(path: string, line: string): BackupError {
  return new BackupError(
    'TOOL_FAILED',
    `pg_dump wrote a list of large objects that cofre cannot read: ${JSON.stringify(line.slice(0, 80))}`,
    { path, hint: 'Use the format custom, and report the version of pg_dump.' },
  );
}
