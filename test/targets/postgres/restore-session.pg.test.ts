import { rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DatabaseRestoreOptions } from '../../../src/domain/restore-ports.ts';
import { type Cluster, startCluster } from '../../../tools/cluster.ts';
import { CAN_MAKE_LOCALES, makeLocales } from '../../support/made-locale.ts';
import { dumpOf, streamOf } from '../../support/dumps.ts';
import { CUSTOM, failureOf, PLAIN, SIGNAL, targetOf } from './restoring.ts';

const GERMAN = 'de_DE.UTF-8';
const LOCALE = { encoding: 'UTF8', collate: 'C', ctype: 'C', provider: 'libc' };
const FORMATS: [string, DatabaseRestoreOptions][] = [
  ['plain', PLAIN],
  ['custom', CUSTOM],
];

let cluster: Cluster;
let locales = '';
let count = 0;
const locpath = process.env['LOCPATH'];

beforeAll(async () => {
  if (CAN_MAKE_LOCALES) {
    locales = makeLocales('de_DE');
    process.env['LOCPATH'] = locales;
  }
  cluster = await startCluster();
  await cluster.createDatabase('source');
  await cluster.psql('source', "CREATE TABLE t (a text[]); INSERT INTO t VALUES (ARRAY[NULL, 'NULL'])");
});
afterEach(async () => {
  await cluster.psql('template1', 'ALTER ROLE postgres RESET ALL');
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  if (locpath === undefined) delete process.env['LOCPATH'];
  else process.env['LOCPATH'] = locpath;
  if (locales !== '') rmSync(locales, { recursive: true });
});

function nextName(): string {
  count += 1;
  return `restored_${count}`;
}

async function restore(
  archive: Buffer,
  name: string,
  options: DatabaseRestoreOptions,
): Promise<readonly string[]> {
  return await targetOf(cluster.urlOf(name)).restore(streamOf(archive), options, SIGNAL);
}

describe.each(FORMATS)('a %s archive', (format, options) => {
  it('keeps what is NULL in arrays apart from the text, whatever is set for the role', async () => {
    const archive = await dumpOf(cluster, 'source', `--format=${format}`);
    await cluster.psql('postgres', 'ALTER ROLE postgres SET array_nulls = off');
    const name = nextName();
    await cluster.createDatabase(name);
    expect(await restore(archive, name, options)).toEqual([]);
    expect(await cluster.psql(name, 'SELECT a[1] IS NULL, a[2] IS NULL FROM t')).toBe('t|f');
  });

  it('says so where the server does not have the locale by which it writes money', async () => {
    const archive = await dumpOf(cluster, 'source', `--format=${format}`);
    const locale = { ...LOCALE, monetary: 'tlh_KX.UTF-8' };
    const remark = expect.stringMatching(/^the locale tlh_KX\.UTF-8, by which .* money were read by C/);
    expect(await restore(archive, nextName(), { ...options, create: true, locale })).toEqual([remark]);
    const name = nextName();
    await cluster.createDatabase(name);
    expect(await restore(archive, name, { ...options, locale })).toEqual([remark]);
  });
});

describe.each(FORMATS)('a %s archive and a role that is read-only', (format, options) => {
  it('goes into a database that is made for it, and into no other without a word what to do', async () => {
    const archive = await dumpOf(cluster, 'source', `--format=${format}`);
    const [made, found] = [nextName(), nextName()];
    await cluster.createDatabase(found);
    await cluster.psql('postgres', 'ALTER ROLE postgres SET default_transaction_read_only = on');
    try {
      expect(await restore(archive, made, { ...options, create: true })).toEqual([]);
      expect(await cluster.psql(made, 'SELECT count(*) FROM t')).toBe('1');
      const error = await failureOf(restore(archive, found, options));
      expect(error).toMatchObject({
        code: 'RESTORE_FAILED',
        hint: expect.stringContaining('default_transaction_read_only'),
      });
      expect(error.message).toContain('nothing was changed');
    } finally {
      await cluster.psql(
        'postgres',
        'SET default_transaction_read_only = off; ALTER ROLE postgres RESET default_transaction_read_only',
      );
    }
  });
});

// Where no locale but C can be made, money is written in one way only.
describe.skipIf(!CAN_MAKE_LOCALES).each(FORMATS)(
  'money of another locale in a %s archive',
  (format, options) => {
    const locale = { ...LOCALE, monetary: GERMAN };
    const AMOUNTS = 'SELECT string_agg(m::numeric::text, $$ $$ ORDER BY m) FROM amounts';
    const EXPECTED = '-1234567.89 0.05 1234.50';

    async function archiveOf(): Promise<Buffer> {
      const name = `german_${format}`;
      await cluster.createDatabase(name);
      await cluster.psql('postgres', `ALTER DATABASE ${name} SET lc_monetary = '${GERMAN}'`);
      await cluster.psql(
        name,
        `CREATE TABLE amounts (m money DEFAULT 12.5::money);
       INSERT INTO amounts VALUES (1234.50::money), (0.05::money), ((-1234567.89)::numeric::money);`,
      );
      return await dumpOf(cluster, name, `--format=${format}`);
    }

    it('is restored to the same amounts, and written the same', async () => {
      const archive = await archiveOf();
      expect(await dumpOf(cluster, `german_${format}`, '--format=plain')).toSatisfy((text: Buffer) =>
        text.includes('1.234,50 €'),
      );
      const made = nextName();
      expect(await restore(archive, made, { ...options, create: true, locale })).toEqual([]);
      expect(await cluster.psql(made, AMOUNTS)).toBe(EXPECTED);
      expect(await cluster.psql(made, 'SHOW lc_monetary')).toBe(GERMAN);

      const existing = nextName();
      await cluster.createDatabase(existing);
      expect(await restore(archive, existing, { ...options, locale })).toEqual([]);
      expect(await cluster.psql(existing, AMOUNTS)).toBe(EXPECTED);

      await restore(archive, existing, { ...options, clean: true, locale });
      expect(await cluster.psql(existing, AMOUNTS)).toBe(EXPECTED);
      expect(await cluster.psql(existing, 'SHOW lc_monetary')).toMatch(/^C/);
    });
  },
);
