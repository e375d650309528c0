import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const MODULE = join(import.meta.dirname, '../../src/lib/log.ts');

/** What a process that logs writes, to stdout and to stderr. */
function logIn(code: string, options = "{ level: 'info', pretty: false }") {
  const text = `
    const { createLog } = await import(${JSON.stringify(MODULE)});
    const log = await createLog(${options});
    ${code}`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', text], { encoding: 'utf8' });
}

describe('the log', () => {
  test('goes to stderr, one JSON object a line, with the level in words', () => {
    const { stdout, stderr } = logIn(
      "log.info({ step: 'start', job: 'app' }, 'hello'); log.debug('not this');",
    );
    expect(stdout).toBe('');
    const lines = stderr.trim().split('\n');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      msg: 'hello',
      step: 'start',
      job: 'app',
    });
  });

  test('has written everything when the process ends abruptly', () => {
    const { stderr } = logIn("for (let i = 0; i < 200; i += 1) log.info('line ' + i); process.exit(3);");
    expect(stderr).toContain('line 199');
  });

  test('for people it is text', () => {
    const { stderr } = logIn("log.warn({ job: 'app' }, 'hello');", "{ level: 'info', pretty: true }");
    expect(stderr).toMatch(/WARN.*hello/);
  });
});

describe('secrets stay out of the log', () => {
  const SECRET = 'hunter2';
  test.each([
    ['at the top', { password: SECRET }],
    ['one level down', { source: { url: SECRET } }],
    ['two levels down', { job: { source: { uri: SECRET } } }],
    ['in a list', { sources: [{ url: SECRET }] }],
    ['in the environment of a child', { env: { PGPASSWORD: SECRET } }],
    ['in the headers of a request', { req: { headers: { authorization: SECRET } } }],
    ['as a token', { http: { token: SECRET } }],
    ['as a secret', { secret: SECRET }],
  ])('%s', (_, fields) => {
    for (const pretty of [true, false]) {
      const { stderr } = logIn(
        `log.info(${JSON.stringify(fields)}, 'said');`,
        `{ level: 'info', pretty: ${pretty} }`,
      );
      expect(stderr).toContain('said');
      expect(stderr).not.toContain(SECRET);
    }
  });
});
