import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { RecordFile } from '../../../src/targets/files/record-file.ts';
import { temporaryDirectory } from '../../support/temp-directory.ts';

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array).toString('latin1'));

test('records come back from either end, whatever bytes and however long they are', async () => {
  const home = await temporaryDirectory();
  let run = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(bytes, fc.constantFrom(1, 10, 3_000)), { maxLength: 30 }), (given) => {
      run += 1;
      using file = new RecordFile<{ path: string }>(join(home, String(run)));
      const rows = given.map(([path, times]) => ({ path: path.repeat(times) }));
      for (const row of rows) file.append(row);
      expect([...file.forward()]).toEqual(rows);
      expect([...file.backward()]).toEqual(rows.toReversed());
    }),
    { numRuns: 60 },
  );
});

test('many small ones cross every boundary', async () => {
  using file = new RecordFile<number>(join(await temporaryDirectory(), 'records'));
  const rows = Array.from({ length: 50_000 }, (_, n) => n);
  for (const row of rows) file.append(row);
  expect([...file.backward()]).toEqual(rows.toReversed());
  expect([...file.forward()]).toEqual(rows);
});
