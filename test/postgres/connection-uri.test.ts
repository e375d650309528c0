import { describe, expect, it } from 'vitest';
import { parseConnectionUri } from '../../src/postgres/connection-uri.ts';

const PARSED: readonly [uri: string, values: Record<string, string>][] = [
  ['postgresql://', {}],
  ['postgres://localhost', { host: 'localhost' }],
  ['postgresql+asyncpg://localhost/app', { host: 'localhost', dbname: 'app' }],
  ['postgresql://u:p@h:5433/d', { user: 'u', password: 'p', host: 'h', port: '5433', dbname: 'd' }],
  ['postgresql://u@/d', { user: 'u', dbname: 'd' }],
  ['postgresql:///d?host=/run/pg', { host: '/run/pg', dbname: 'd' }],
  ['postgresql://%2Frun%2Fpg:6000/d', { host: '/run/pg', port: '6000', dbname: 'd' }],
  ['postgresql://u:a%40b%3Ac%2Fd%25@h/d', { user: 'u', password: 'a@b:c/d%', host: 'h', dbname: 'd' }],
  ['postgresql://u:a:b@h/d', { user: 'u', password: 'a:b', host: 'h', dbname: 'd' }],
  ['postgresql://u:a?b@h/d', { user: 'u', password: 'a?b', host: 'h', dbname: 'd' }],
  ['postgresql://h1:1,h2,h3:3/d', { host: 'h1,h2,h3', port: '1,,3', dbname: 'd' }],
  ['postgresql://h1,h2/d', { host: 'h1,h2', port: ',', dbname: 'd' }],
  ['postgresql://[::1]:5433/d', { host: '::1', port: '5433', dbname: 'd' }],
  ['postgresql://[2001:db8::1],h/d', { host: '2001:db8::1,h', port: ',', dbname: 'd' }],
  ['postgresql://h?sslmode=require', { host: 'h', sslmode: 'require' }],
  ['postgresql://h/d?ssl=true', { host: 'h', dbname: 'd', sslmode: 'require' }],
  ['postgresql://h/d?user=x&password=y%26z', { host: 'h', dbname: 'd', user: 'x', password: 'y&z' }],
  ['postgresql://h/d?options=-c%20search_path%3Da', { host: 'h', dbname: 'd', options: '-c search_path=a' }],
  ['postgresql://h/d+e', { host: 'h', dbname: 'd+e' }],
  ['postgresql://h/d?', { host: 'h', dbname: 'd' }],
  ['postgresql://h/d?uselibpqcompat=true&sslmode=require', { host: 'h', dbname: 'd', sslmode: 'require' }],
];

describe('parseConnectionUri', () => {
  it.each(PARSED)('takes %s apart', (uri, values) => {
    expect(Object.fromEntries(parseConnectionUri(uri))).toEqual(values);
  });

  it.each([
    ['host=localhost password=s3cret', /postgresql:\/\//],
    ['mysql://u:s3cret@h/d', /postgresql:\/\//],
    ['postgresql://u:s3@cret@h/d', /holds an @/],
    ['postgresql://u:s3/cret@h/d', /holds an @/],
    ['postgresql://u:s3cret/d', /port/],
    ['postgresql://u:12/s3?cret@h/d', /holds an @/],
    ['postgresql://u:12@s3/cret@h/d', /holds an @/],
    ['postgresql://u:s3%cret@h/d', /the password holds a %/],
    ['postgresql://u:s3cret@h:99999/d', /port/],
    ['postgresql://u:s3cret@h:abc/d', /port/],
    ['postgresql://u:s3cret@[::1/d', /host\[:port\]/],
    ['postgresql://u:s3cret@h/d?sslmode', /sslmode has no value/],
    ['postgresql://u:s3cret@h/d?options=-ca=b', /options holds a =/],
    ['postgresql://u:s3cret@h/d?password=s3cret%00', /%00/],
  ])('refuses %s without showing the password', (uri, message) => {
    const error = thrownBy(() => parseConnectionUri(uri));
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) });
    expect(`${error.message} ${JSON.stringify(error)}`).not.toMatch(/s3|cret/);
  });

  it('refuses an unknown parameter and names the allowed ones', () => {
    const error = thrownBy(() => parseConnectionUri('postgresql://h/d?connection_limit=5'));
    expect(error).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('connection_limit'),
      hint: expect.stringMatching(/sslmode, .*channel_binding/),
    });
  });

  it.each(['sslpassword', 'requirepeer', 'scram_client_key', 'replication', 'krbsrvname'])(
    'refuses %s, which one of the drivers would ignore or show, and says why',
    (name) => {
      const error = thrownBy(() => parseConnectionUri(`postgresql://h/d?${name}=s3cret`));
      expect(error).toMatchObject({ code: 'CONFIG_INVALID', hint: expect.stringMatching(/^Remove \w+: \w/) });
      expect(JSON.stringify(error)).not.toContain('s3cret');
    },
  );
});

function thrownBy(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}
