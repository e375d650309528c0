import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findServerPrograms } from '../../src/scratch/server-programs.ts';
import { fakeProgram } from '../postgres/fake-program.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

const SERVER = ['initdb', 'postgres'];
const CLIENTS = ['pg_dump', 'pg_restore', 'psql'];

async function install(root: string, major: number, programs: readonly string[]): Promise<string> {
  const directory = join(root, String(major), 'bin');
  for (const program of programs) await fakeProgram(directory, program, `${major}.3`);
  return directory;
}

async function find(major: number, root: string, more: { PATH?: string; binDir?: string } = {}) {
  const { PATH = '/nonexistent', binDir } = more;
  return await findServerPrograms(major, {
    binDir,
    env: { PATH },
    signal: NO_ABORT,
    versionedDirectories: [`${root}/*/bin`],
  });
}

describe('the server programs', () => {
  test('are those of the lowest version that is new enough', async () => {
    const root = await temporaryDirectory();
    const all = [...SERVER, ...CLIENTS];
    const [, fifteen, sixteen] = await Promise.all([14, 15, 16].map((major) => install(root, major, all)));
    expect(await find(15, root)).toEqual({ directory: fifteen, major: 15, clients: fifteen });
    expect(await find(16, root)).toMatchObject({ directory: sixteen, major: 16 });
    await expect(find(17, root)).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining(
        'PostgreSQL 17 needs initdb 17 or newer; the newest found is 16.3',
      ) as string,
      hint: expect.stringContaining('apt-get install postgresql-17') as string,
    });
    // Of a version that is not known the newest can restore the most.
    expect(await find(0, root)).toMatchObject({ major: 16 });
  });

  test('come from one directory, and that of a link is where it leads', async () => {
    const root = await temporaryDirectory();
    const real = await install(root, 15, [...SERVER, ...CLIENTS]);
    const linked = await temporaryDirectory();
    for (const program of SERVER) await symlink(join(real, program), join(linked, program));
    expect(await find(15, '/nonexistent', { PATH: linked })).toMatchObject({
      directory: real,
      clients: real,
    });
    await fakeProgram(join(root, '16', 'bin'), 'initdb', '16.3');
    await expect(find(16, root)).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('postgres was not found') as string,
    });
  });

  test('do with a pg_dump from elsewhere, and are not enough without any', async () => {
    const root = await temporaryDirectory();
    const directory = await install(root, 15, SERVER);
    await expect(find(15, root)).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('pg_dump was not found') as string,
    });
    await install(root, 16, CLIENTS);
    expect(await find(15, root)).toEqual({ directory, major: 15, clients: undefined });
  });

  test('are looked for in the configured directory alone', async () => {
    const root = await temporaryDirectory();
    await install(root, 15, [...SERVER, ...CLIENTS]);
    await expect(find(15, root, { binDir: '/nonexistent' })).rejects.toMatchObject({ code: 'NOT_PROVABLE' });
  });
});
