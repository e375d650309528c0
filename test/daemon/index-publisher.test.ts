import { readFile, rm } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { IndexFile } from '../../src/catalogue/index-file.ts';
import { IndexPublisher } from '../../src/daemon/index-publisher.ts';
import { addBackup, daily } from '../support/stock.ts';
import { openTestLocation, type TestLocation } from '../support/test-location.ts';
import { waitFor } from '../support/wait-for.ts';

async function published({ location }: TestLocation): Promise<number> {
  return (JSON.parse(await readFile(location.index, 'utf8')) as unknown[]).length;
}

function publisherOf({ location, context }: TestLocation): IndexPublisher {
  return new IndexPublisher(new IndexFile(location, context.catalogue), context.events);
}

test('the index is there from the start, follows the catalogue, and has the last change at the end', async () => {
  const bed = await openTestLocation();
  const stop = new AbortController();
  const running = publisherOf(bed).run(stop.signal);
  await waitFor('the index', async () => (await published(bed)) === 0);
  await addBackup(bed, daily(1));
  await waitFor('the first backup', async () => (await published(bed)) === 1, 5_000);
  await addBackup(bed, daily(2));
  stop.abort();
  await running;
  expect(await published(bed)).toBe(2);
});

test('an index that cannot be written is counted, and is written when it can be again', async () => {
  const bed = await openTestLocation();
  const publisher = publisherOf(bed);
  const signal = new AbortController().signal;
  await rm(bed.location.manifests, { recursive: true });
  await publisher.publish(signal);
  expect(await bed.metric('cofre_errors_total', { step: 'index' })).toBe(1);
  const again = await openTestLocation({ root: bed.root });
  await addBackup(again, daily(1));
  await publisher.publish(signal);
  expect(await published(bed)).toBe(1);
});
