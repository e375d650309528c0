import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DatabaseLocale } from '../../src/domain/manifest.ts';
import { connect } from '../../src/postgres/connect.ts';
import { resolveConnection } from '../../src/postgres/connection-params.ts';
import {
  choicesLike,
  createDatabase,
  isLocaleRefusal,
  type LocaleChoice,
} from '../../src/postgres/create-database.ts';
import { readDatabaseLocale, readLocaleOf } from '../../src/postgres/database-locale.ts';
import type { Session } from '../../src/postgres/session.ts';
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
  await cluster.psql('postgres', 'CREATE ROLE "own er"');
  session = await sessionOf('postgres');
});
afterAll(async () => {
  await session[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

async function make(choices: LocaleChoice[], more: { owner?: string; monetary?: string } = {}) {
  count += 1;
  const name = `made "${count}"`;
  const made = await createDatabase(session, cluster.major, { name, choices, ...more });
  return { name, ...made, locale: await readLocaleOf(session, name) };
}

const provider = { provider: 'libc' };
const C = { encoding: 'UTF8', collate: 'C', ctype: 'C', ...provider };
const LACKING = { encoding: 'UTF8', collate: 'tlh_KX.UTF-8', ctype: 'C', ...provider };

test('a database is like the one that was recorded', async () => {
  const locales: DatabaseLocale[] = [
    C,
    { ...C, ctype: 'C.UTF-8' },
    { ...C, encoding: 'LATIN1' },
    { ...C, encoding: 'SQL_ASCII' },
    { ...C, encoding: 'EUC_JP' },
    { ...C, provider: 'icu', provider_locale: 'de-DE' },
  ];
  for (const locale of locales) {
    const made = await make(choicesLike(locale));
    expect(made.refusal).toBeUndefined();
    expect(made.locale).toEqual(locale);
  }
});

test('one of a server that knew no providers is of libc', async () => {
  const old = { encoding: 'LATIN1', collate: 'C', ctype: 'C' };
  expect((await make(choicesLike(old))).locale).toEqual({ ...old, ...provider });
});

test('what is left out is as in template0', async () => {
  const template0 = await readLocaleOf(session, 'template0');
  expect((await make([{}])).locale).toEqual(template0);
});

test('the first choice that the server accepts is taken, and what it said to the best is told', async () => {
  const fallback = { ...C, encoding: 'LATIN1' };
  // A name that exists, of another encoding.
  const mismatched = { encoding: 'LATIN1', collate: 'C.UTF-8', ctype: 'C.UTF-8' };
  const made = await make([LACKING, mismatched, { ...C, provider: 'oracle' }, fallback, C]);
  expect(made).toMatchObject({
    chosen: fallback,
    locale: fallback,
    refusal: { message: expect.stringContaining('tlh_KX') },
  });
});

test('what ICU sorts it sorts the same without the locale of libc beside it', async () => {
  const icu = { ...LACKING, provider: 'icu', provider_locale: 'de-DE' };
  const { refusal, locale } = await make(choicesLike(icu));
  expect(refusal?.message).toContain('tlh_KX');
  expect(locale).toEqual({ ...icu, collate: 'C' });
  // Of libc, nothing else sorts the same.
  expect(choicesLike(LACKING)).toEqual([LACKING]);
});

test('where none is accepted, what the server said to the best is thrown', async () => {
  const failed = make([LACKING, { ...C, encoding: 'SJIS' }]);
  await expect(failed).rejects.toThrow('tlh_KX');
  await expect(failed).rejects.toSatisfy(isLocaleRefusal);
});

test('what is no matter of the locale is thrown as it is, at once', async () => {
  const exists = createDatabase(session, cluster.major, { name: 'postgres', choices: [C, C] });
  await expect(exists).rejects.toMatchObject({ code: '42P04' });
  await expect(exists).rejects.not.toSatisfy(isLocaleRefusal);
});

test('the owner is who was wanted', async () => {
  const { name } = await make([C], { owner: 'own er' });
  const sql = `SELECT datdba::regrole FROM pg_database WHERE datname = '${name}'`;
  expect(await cluster.psql('postgres', sql)).toBe('"own er"');
});

/** What is set for a database. */
async function settingsOf(name: string): Promise<string> {
  const sql = `SELECT setconfig FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = '${name}'`;
  return await cluster.psql('postgres', sql);
}

test('money is written as was recorded', async () => {
  const { name, monetaryRefusal } = await make([C], { monetary: 'POSIX' });
  expect(monetaryRefusal).toBeUndefined();
  expect(await settingsOf(name)).toBe('{lc_monetary=POSIX}');
  await using inside = await sessionOf(name);
  expect(await readDatabaseLocale(inside)).toEqual({ ...C, monetary: 'POSIX' });
});

test('nothing is set where money is written so anyway', async () => {
  const monetary = await cluster.psql('postgres', 'SHOW lc_monetary');
  expect(await settingsOf((await make([C], { monetary })).name)).toBe('');
  // What the session was told does not count for the database.
  await session.query("SET lc_monetary = 'POSIX'");
  const { name } = await make([C], { monetary: 'POSIX' });
  await session.query('RESET lc_monetary');
  expect(await settingsOf(name)).toBe('{lc_monetary=POSIX}');
});

test('a locale for money that the server does not have is told, and the database is made', async () => {
  const made = await make([C], { monetary: 'tlh_KX.UTF-8' });
  expect(made.monetaryRefusal?.message).toContain('tlh_KX');
  expect(made).toMatchObject({ chosen: C, locale: C });
  expect(await settingsOf(made.name)).toBe('');
});
