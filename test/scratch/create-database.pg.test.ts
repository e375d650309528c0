import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DatabaseLocale } from '../../src/domain/manifest.ts';
import { connect } from '../../src/postgres/connect.ts';
import { resolveConnection } from '../../src/postgres/connection-params.ts';
import { readDatabaseLocale } from '../../src/postgres/server-facts.ts';
import type { Session } from '../../src/postgres/session.ts';
import { createDatabase, type MadeDatabase } from '../../src/scratch/create-database.ts';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { NO_ABORT } from '../support/fakes.ts';

let cluster: Cluster;
let session: Session;
let count = 0;

async function sessionOf(database: string): Promise<Session> {
  return await connect(await resolveConnection(cluster.urlOf(database), {}), {}, NO_ABORT);
}

beforeAll(async () => {
  cluster = await startCluster();
  session = await sessionOf('postgres');
});
afterAll(async () => {
  await session[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

async function make(
  wish: DatabaseLocale | undefined,
): Promise<MadeDatabase & { locale?: DatabaseLocale | undefined }> {
  count += 1;
  const name = `made "${count}"`;
  const made = await createDatabase(session, name, wish, cluster.major);
  await using inside = await sessionOf(name);
  return { ...made, locale: await readDatabaseLocale(inside) };
}

const provider = { provider: 'libc' };

test('a database is like the one that was dumped', async () => {
  const wishes: DatabaseLocale[] = [
    { encoding: 'UTF8', collate: 'C', ctype: 'C', ...provider },
    { encoding: 'UTF8', collate: 'C', ctype: 'C.UTF-8', ...provider },
    { encoding: 'LATIN1', collate: 'C', ctype: 'C', ...provider },
    { encoding: 'SQL_ASCII', collate: 'C', ctype: 'C', ...provider },
    { encoding: 'EUC_JP', collate: 'C', ctype: 'C', ...provider },
    { encoding: 'UTF8', collate: 'C', ctype: 'C', provider: 'icu', provider_locale: 'de-DE' },
  ];
  for (const wish of wishes) {
    expect(await make(wish)).toEqual({ sameLocale: true, remarks: [], locale: wish });
  }
});

test('one of a server that knew no providers is of libc', async () => {
  const wish = { encoding: 'LATIN1', collate: 'C', ctype: 'C' };
  expect(await make(wish)).toEqual({ sameLocale: true, remarks: [], locale: { ...wish, ...provider } });
});

test('without the locale it keeps the encoding, and says what it lacks', async () => {
  const lacking = { collate: 'tlh_KX.UTF-8', ctype: 'tlh_KX.UTF-8', ...provider };
  expect(await make({ encoding: 'UTF8', ...lacking })).toEqual({
    sameLocale: false,
    remarks: ['the locale tlh_KX.UTF-8 is not available here: C.UTF-8'],
    locale: { encoding: 'UTF8', collate: 'C.UTF-8', ctype: 'C.UTF-8', ...provider },
  });
  // A name that exists, of another encoding.
  expect(await make({ encoding: 'LATIN1', collate: 'C.UTF-8', ctype: 'C.UTF-8' })).toEqual({
    sameLocale: false,
    remarks: ['the locale C.UTF-8 is not available here: C'],
    locale: { encoding: 'LATIN1', collate: 'C', ctype: 'C', ...provider },
  });
});

test('what ICU sorts it sorts the same without the locale of libc beside it', async () => {
  const icu = { provider: 'icu', provider_locale: 'de-DE' };
  const made = await make({ encoding: 'UTF8', collate: 'tlh_KX.UTF-8', ctype: 'C', ...icu });
  expect(made).toEqual({
    sameLocale: true,
    remarks: ['the locale de-DE of icu with tlh_KX.UTF-8 and C is not available here: de-DE of icu with C'],
    locale: { encoding: 'UTF8', collate: 'C', ctype: 'C', ...icu },
  });
});

test('a provider that this server does not know is replaced', async () => {
  const unknown = { provider: 'oracle', provider_locale: 'x' };
  const made = await make({ encoding: 'UTF8', collate: 'C', ctype: 'C', ...unknown });
  expect(made).toMatchObject({ sameLocale: false, locale: { encoding: 'UTF8', provider: 'libc' } });
});

test('what is no matter of the locale is thrown as it is', async () => {
  await expect(createDatabase(session, 'postgres', undefined, cluster.major)).rejects.toMatchObject({
    code: '42P04',
  });
});
