import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { PostgresSource } from '../../../src/sources/postgres/postgres-source.ts';

function open(url: string): PostgresSource {
  return new PostgresSource({
    name: 'app',
    url,
    format: 'plain',
    lockWaitTimeout_ms: 1_000,
    exclusive: false,
  });
}

it.each([
  ['postgresql://u:%ZZs3cret@h/d', /^source app: .*the password holds a %/],
  ['postgresql://u:s3cret@h:99999/d', /^source app: .*a port/],
  ['postgresql://u:s3cret@h/d?nonsense=1', /^source app: .*nonsense/],
])('the malformed URI %s is refused before anything is tried, and not shown', (url, message) => {
  let thrown: unknown;
  try {
    open(url);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({
    code: 'CONFIG_INVALID',
    path: 'app',
    message: expect.stringMatching(message),
    hint: expect.stringMatching(/./),
  });
  // With the stack, and the error behind it.
  expect(inspect(thrown)).not.toMatch(/s3cret|%ZZ/);
});

it('a URI that leaves everything to libpq is accepted', () => {
  expect(open('postgresql://').name).toBe('app');
});
