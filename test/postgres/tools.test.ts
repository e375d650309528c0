import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findTool } from '../../src/postgres/tools.ts';
import { fakeProgram } from './fake-program.ts';

let root = '';
const find = async (minMajor: number, more: { binDir?: string; neededBy?: string } = {}) =>
  await findTool('pg_dump', minMajor, {
    env: { PATH: `${join(root, 'none')}:${join(root, 'path')}:/usr/bin:/bin` },
    signal: new AbortController().signal,
    versionedDirectories: [join(root, 'lib/*/bin'), join(root, 'pgsql-*/bin')],
    ...more,
  });

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cofre-tools-'));
  await fakeProgram(join(root, 'lib/14/bin'), 'pg_dump', '14.9 (Debian 14.9-1)');
  await fakeProgram(join(root, 'lib/16/bin'), 'pg_dump', '16.4');
  await fakeProgram(join(root, 'pgsql-17/bin'), 'pg_dump', '17.1');
  await mkdir(join(root, 'lib/9.6/bin'), { recursive: true });
});
afterEach(async () => await rm(root, { recursive: true }));

describe('findTool', () => {
  it('takes the one on PATH when it is new enough', async () => {
    const path = await fakeProgram(join(root, 'path'), 'pg_dump', '18beta1');
    expect(await find(15)).toEqual({ path, major: 18, version: '18beta1' });
  });

  it('takes the oldest sufficient one of the versioned directories when that on PATH is too old', async () => {
    await fakeProgram(join(root, 'path'), 'pg_dump', '13.2');
    expect(await find(15)).toEqual({ path: join(root, 'lib/16/bin/pg_dump'), major: 16, version: '16.4' });
    expect(await find(14)).toMatchObject({ major: 14, version: '14.9 (Debian 14.9-1)' });
    expect(await find(17)).toMatchObject({ path: join(root, 'pgsql-17/bin/pg_dump') });
  });

  it('passes over the wrapper that Debian puts on PATH', async () => {
    await mkdir(join(root, 'path'));
    await fakeProgram(join(root, 'share'), 'pg_wrapper', '99.0');
    await symlink('../share/pg_wrapper', join(root, 'path/pg_dump'));
    expect(await find(15)).toMatchObject({ path: join(root, 'lib/16/bin/pg_dump') });
  });

  it('passes over a program that does not run', async () => {
    await writeFile(join(root, 'lib/16/bin/pg_dump'), '#!/bin/sh\nexit 127\n');
    expect(await find(15)).toMatchObject({ major: 17 });
  });

  it('looks nowhere but in binDir when that is given', async () => {
    await fakeProgram(join(root, 'path'), 'pg_dump', '18.0');
    expect(await find(14, { binDir: join(root, 'lib/14/bin') })).toMatchObject({ major: 14 });
    await expect(find(15, { binDir: join(root, 'lib/14/bin') })).rejects.toMatchObject({
      code: 'SERVER_TOO_NEW',
    });
    await expect(find(15, { binDir: join(root, 'absent') })).rejects.toMatchObject({
      code: 'TOOL_MISSING',
      message: expect.stringContaining(join(root, 'absent')),
    });
  });

  it('version mismatch of pg_dump and server: names both versions and what to install', async () => {
    await expect(find(19, { neededBy: 'PostgreSQL 19.2' })).rejects.toMatchObject({
      code: 'SERVER_TOO_NEW',
      message: expect.stringMatching(/PostgreSQL 19\.2 needs pg_dump 19 or newer; the newest found is 17\.1/),
      hint: expect.stringContaining('apt-get install postgresql-client-19'),
    });
  });

  it('says that there is none at all', async () => {
    await rm(join(root, 'lib'), { recursive: true });
    await rm(join(root, 'pgsql-17'), { recursive: true });
    const none = findTool('pg_dump', 15, {
      env: { PATH: join(root, 'none') },
      signal: new AbortController().signal,
      versionedDirectories: [join(root, 'lib/*/bin')],
    });
    await expect(none).rejects.toMatchObject({
      code: 'TOOL_MISSING',
      hint: expect.stringContaining('apt-get install postgresql-client-15'),
    });
  });

  it('ends with the reason of the abort', async () => {
    const reason = new Error('enough');
    const aborted = findTool('pg_dump', 15, {
      env: { PATH: '' },
      signal: AbortSignal.abort(reason),
      binDir: join(root, 'lib/16/bin'),
    });
    await expect(aborted).rejects.toBe(reason);
  });
});
