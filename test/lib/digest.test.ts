import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { Meter } from '../../src/lib/digest.ts';

test('counts and hashes what passes by, and passes all of it on', async () => {
  const parts = ['', 'one', ' ', 'two'].map((text) => Buffer.from(text));
  const source = async function* () {
    yield* parts;
  };
  const meter = new Meter();
  const seen: Buffer[] = [];
  for await (const chunk of meter.tap(source())) seen.push(chunk);
  expect(Buffer.concat(seen).toString()).toBe('one two');
  expect(meter.bytes).toBe(7);
  expect(meter.sha256()).toBe(createHash('sha256').update('one two').digest('hex'));
});
