import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveConnection } from '../../src/postgres/connection-params.ts';
import { findPassword } from '../../src/postgres/password-file.ts';

let home = '';
const env = (more: Record<string, string> = {}) => ({ HOME: home, PGSYSCONFDIR: join(home, 'etc'), ...more });

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'cofre-home-'));
  await writeFile(
    join(home, '.pg_service.conf'),
    [
      '# comment',
      '[other]',
      'host=wrong',
      '[shop]',
      'host=db.example.org',
      'port=6432',
      'user=reader',
      'sslmode=verify-full',
      '[bad]',
      'sslpassword=s3cret',
      '',
    ].join('\n'),
  );
  const passwords =
    'db.example.org:6432:*:reader:from-file\nlocalhost:*:*:*:default-socket\n*:1:*:*:port-one\n';
  await writeFile(join(home, '.pgpass'), passwords, { mode: 0o600 });
});
afterAll(async () => await rm(home, { recursive: true }));

describe('resolveConnection', () => {
  it('fills in the defaults of libpq', async () => {
    const params = await resolveConnection('postgresql://', env());
    expect(params).toMatchObject({
      user: userInfo().username,
      database: userInfo().username,
      targets: [{ host: expect.stringMatching(/^\/(?:var\/run\/postgresql|tmp)$/), port: 5432 }],
      sslMode: 'prefer',
      sessionAttrs: 'any',
      connectTimeout_ms: 15_000,
      applicationName: 'cofre',
    });
  });

  it('lets the URI win over the service, and that over the environment', async () => {
    const params = await resolveConnection(
      'postgresql:///?service=shop&port=7000',
      env({ PGHOST: 'elsewhere', PGUSER: 'nobody', PGDATABASE: 'fromenv', PGAPPNAME: 'nightly' }),
    );
    expect(params).toMatchObject({
      targets: [{ host: 'db.example.org', port: 7000 }],
      user: 'reader',
      database: 'fromenv',
      sslMode: 'verify-full',
      applicationName: 'nightly',
    });
  });

  it('takes service and service file from the environment', async () => {
    const file = join(home, 'services');
    await writeFile(file, '[mine]\nhost=h\n');
    const params = await resolveConnection('postgresql://', env({ PGSERVICE: 'mine', PGSERVICEFILE: file }));
    expect(params.targets).toEqual([{ host: 'h', port: 5432 }]);
  });

  it('pairs several hosts with their ports and addresses', async () => {
    const params = await resolveConnection('postgresql://a:1,b,[::1]:3/d?hostaddr=10.0.0.1,,', env());
    expect(params.targets).toEqual([
      { host: 'a', hostaddr: '10.0.0.1', port: 1 },
      { host: 'b', port: 5432 },
      { host: '::1', port: 3 },
    ]);
    const onePort = await resolveConnection('postgresql:///d?host=a,b&port=7', env());
    expect(onePort.targets.map(({ port }) => port)).toEqual([7, 7]);
  });

  it.each([
    ['postgresql://u:s3cret@a,b/d?port=1,2,3', /2 hosts are named with 3 ports/],
    ['postgresql://u:s3cret@a,b/d?hostaddr=10.0.0.1', /2 hosts are named with 1 hostaddr/],
    ['postgresql://u:s3cret@a/d?port=x', /port/],
    ['postgresql://u:s3cret@a/d?sslmode=no-verify', /sslmode is "no-verify"/],
    ['postgresql://u:s3cret@a/d?target_session_attrs=master', /target_session_attrs is "master"/],
    ['postgresql://u:s3cret@a/d?connect_timeout=soon', /connect_timeout/],
    ['postgresql://u:s3cret@a/d?service=absent', /service "absent" is not defined/],
    ['postgresql://u:s3cret@a/d?service=bad', /sets sslpassword/],
    ['postgresql://u:s3cret@%40abstract/d', /abstract socket/],
  ])('refuses %s without showing the password', async (uri, message) => {
    const error: unknown = await resolveConnection(uri, env()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) });
    expect(String(error) + JSON.stringify(error)).not.toContain('s3cret');
  });

  it('names the variable-borne parameter that it refuses', async () => {
    await expect(resolveConnection('postgresql://', env({ PGREQUIREPEER: 'x' }))).rejects.toThrow(
      /requirepeer/,
    );
  });

  it('takes the password from URI, environment, then the password file of its target', async () => {
    const passwordOf = async (uri: string, more?: Record<string, string>) => {
      const params = await resolveConnection(uri, env(more));
      return await Promise.all(params.targets.map(async (target) => await params.password(target)));
    };
    expect(await passwordOf('postgresql://u:uri@db.example.org/d', { PGPASSWORD: 'env' })).toEqual(['uri']);
    expect(await passwordOf('postgresql://u@db.example.org/d', { PGPASSWORD: 'env' })).toEqual(['env']);
    expect(await passwordOf('postgresql://reader@db.example.org:6432,x:1,y/d')).toEqual([
      'from-file',
      'port-one',
      undefined,
    ]);
    expect(await passwordOf('postgresql://')).toEqual(['default-socket']);
    expect(await passwordOf('postgresql://', { PGPASSFILE: join(home, 'absent') })).toEqual([undefined]);
  });

  it('ignores a password file that others may read, as libpq does', async () => {
    const file = join(home, 'loose');
    await writeFile(file, '*:*:*:*:x\n', { mode: 0o600 });
    const params = await resolveConnection(`postgresql://h/d?passfile=${encodeURIComponent(file)}`, env());
    const [target] = params.targets;
    expect(await params.password(target ?? { host: '', port: 0 })).toBe('x');
    await chmod(file, 0o644);
    expect(await params.password(target ?? { host: '', port: 0 })).toBeUndefined();
  });

  it('shows no password to whoever prints it', async () => {
    const params = await resolveConnection('postgresql://u:s3cret@h/d?password=s3cret', env());
    const shown = JSON.stringify({ ...params, given: [...params.given] });
    expect(shown).not.toContain('s3cret');
  });
});

describe('findPassword', () => {
  const query = { host: 'h', port: 5432, database: 'd', user: 'u' };
  it.each([
    ['h:5432:d:u:secret', 'secret'],
    ['# h:5432:d:u:no\n*:*:*:*:secret', 'secret'],
    ['h:5432:d:other:no\nh:5432:d:u:first\nh:5432:d:u:second', 'first'],
    ['h:5432:d:u:a\\:b\\\\c', 'a:b\\c'],
    ['h:5432:d:u:windows\r\n', 'windows'],
    ['h:5433:d:u:no', undefined],
    ['h:5432:d', undefined],
    ['', undefined],
  ])('reads %j', (text, password) => {
    expect(findPassword(text, query)).toBe(password);
  });

  it('matches escaped fields', () => {
    expect(findPassword('\\:\\:1:5432:d:u:six', { ...query, host: '::1' })).toBe('six');
  });
});
