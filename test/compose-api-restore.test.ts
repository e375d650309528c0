import { expect, test } from 'vitest';
import { withDatabase } from '../src/compose-api-restore.ts';
import { parseConnectionUri } from '../src/postgres/connection-uri.ts';

test.each([
  'postgresql://user:pass%2Fword@one:5432,two:5433/postgres?sslmode=require',
  'postgresql://h/production?dbname=production',
  'postgresql://h',
  'postgresql://h/?',
  'postgresql:///production?host=/run/postgresql',
])('of %s another database is meant, and nothing else is changed', (uri) => {
  const { dbname, ...rest } = Object.fromEntries(parseConnectionUri(withDatabase(uri, 'app check')));
  const { dbname: _, ...before } = Object.fromEntries(parseConnectionUri(uri));
  expect({ dbname, rest }).toEqual({ dbname: 'app check', rest: before });
});
