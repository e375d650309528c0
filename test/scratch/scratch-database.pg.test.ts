import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DatabaseLocale } from '../../src/domain/manifest.ts';
import { connect } from '../../src/postgres/connect.ts';
import { resolveConnection } from '../../src/postgres/connection-params.ts';
import { readLocaleOf } from '../../src/postgres/database-locale.ts';
import type { Session } from '../../src/postgres/session.ts';
import { createScratchDatabase } from '../../src/scratch/scratch-database.ts';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { NO_ABORT } from '../support/fakes.ts';

let cluster: Cluster;
let session: Session;
let count = 0;

beforeAll(async () => {
  cluster = await startCluster();
  session = await connect(await resolveConnection(cluster.url, {}), {}, NO_ABORT);
});
afterAll(async () => {
  await session[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

async function make(wish: DatabaseLocale | undefined) {
  count += 1;
  const name = `made_${count}`;
  const made = await createScratchDatabase(session, name, wish, cluster.major);
  return { ...made, locale: await readLocaleOf(session, name) };
}

const provider = { provider: 'libc' };
const C = { encoding: 'UTF8', collate: 'C', ctype: 'C', ...provider };

test('a database as wished for is alike', async () => {
  for (const wish of [
    { ...C, encoding: 'LATIN1' },
    { ...C, monetary: 'POSIX' },
  ]) {
    const { monetary: _, ...locale } = wish as DatabaseLocale;
    expect(await make(wish)).toEqual({ sameLocale: true, sameMoney: true, remarks: [], locale });
  }
});

test('without the locale it keeps the encoding, and says what it lacks', async () => {
  const lacking = { collate: 'tlh_KX.UTF-8', ctype: 'tlh_KX.UTF-8', ...provider };
  expect(await make({ encoding: 'UTF8', ...lacking })).toEqual({
    sameLocale: false,
    sameMoney: true,
    remarks: ['the locale tlh_KX.UTF-8 is not available here: C.UTF-8'],
    locale: { encoding: 'UTF8', collate: 'C.UTF-8', ctype: 'C.UTF-8', ...provider },
  });
  // A name that exists, of another encoding.
  expect(await make({ encoding: 'LATIN1', collate: 'C.UTF-8', ctype: 'C.UTF-8' })).toMatchObject({
    sameLocale: false,
    remarks: ['the locale C.UTF-8 is not available here: C'],
    locale: { encoding: 'LATIN1', collate: 'C', ctype: 'C', ...provider },
  });
});

test('what sorts the same is the same locale, which is said all the same', async () => {
  const icu = { provider: 'icu', provider_locale: 'de-DE' };
  expect(await make({ encoding: 'UTF8', collate: 'tlh_KX.UTF-8', ctype: 'C', ...icu })).toMatchObject({
    sameLocale: true,
    remarks: ['the locale de-DE of icu with tlh_KX.UTF-8 and C is not available here: de-DE of icu with C'],
  });
});

test('a locale for money that is not here is said', async () => {
  expect(await make({ ...C, monetary: 'tlh_KX.UTF-8' })).toMatchObject({
    sameLocale: true,
    sameMoney: false,
    remarks: ['the locale tlh_KX.UTF-8, by which money is written, is not available here'],
  });
});

test('where nothing was recorded, nothing is said to be the same', async () => {
  expect(await make(undefined)).toMatchObject({
    sameLocale: false,
    sameMoney: false,
    remarks: ['the locale of the source is not recorded: UTF8 with C.UTF-8'],
  });
});

test('an encoding that the server does not have is no fault of the archive', async () => {
  await expect(make({ ...C, encoding: 'SJIS' })).rejects.toMatchObject({
    code: 'NOT_PROVABLE',
    message: expect.stringContaining('SJIS'),
  });
});

test('what is no matter of the locale is thrown as it is', async () => {
  await expect(createScratchDatabase(session, 'postgres', C, cluster.major)).rejects.toMatchObject({
    code: '42P04',
  });
});
