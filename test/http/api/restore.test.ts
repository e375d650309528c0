import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RunView } from '../../../src/domain/run-view.ts';
import { type ApiBed, openApiBed } from '../../support/api-bed.ts';
import { waitFor } from '../../support/wait-for.ts';

const URI = 'postgresql://restorer:s3cret-of-staging@127.0.0.1:1/staging';

async function openBed() {
  const bed = await openApiBed({
    config: (directory) => ({
      http: {
        restoreTargets: [
          { name: 'recovered', directory: join(directory, 'recovered') },
          { name: 'staging', url: URI },
        ],
      },
    }),
  });
  const recovered = join(bed.directory, 'recovered');
  mkdirSync(recovered);
  const manifest = await bed.backup();
  const { filename } = manifest;
  const restore = (body: object, query = '?wait=true') =>
    bed.call('POST', `/api/v1/backups/${filename}/restore${query}`, { body });
  return { bed, filename, manifest, restore, recovered };
}

async function runs(bed: ApiBed): Promise<RunView[]> {
  return (await bed.call('GET', '/api/v1/runs?job=@restore')).body['runs'] as RunView[];
}

describe('a restore', () => {
  test('goes into a directory of its own in the target, and is recorded with who asked', async () => {
    const { bed, filename, manifest, restore, recovered } = await openBed();
    const { status, body } = await restore({ confirm: filename, to: 'recovered' });
    const place = join(recovered, `tree_${manifest.timestamp}`);
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { success: true, filename, target: place, dry_run: false, differences: [], compared: true },
    });
    expect(readFileSync(join(place, 'tree/note.txt'), 'utf8')).toBe('a note\n');
    expect(await runs(bed)).toMatchObject([
      { trigger: 'api', actor: 'admin', outcome: 'succeeded', filename, target: place },
    ]);
  });

  test('under a name that is given, begun with 202, can be asked for', async () => {
    const { bed, filename, restore, recovered } = await openBed();
    const { status, headers, body } = await restore({ confirm: filename, to: 'recovered', as: 'mine' }, '');
    const { run } = body['run'] as RunView;
    expect({ status, location: headers['location'] }).toEqual({
      status: 202,
      location: `/api/v1/runs/${run}`,
    });
    const ended = await waitFor('the end of the restore', async () => {
      const view = (await bed.call('GET', `/api/v1/runs/${run}`)).body['run'] as RunView;
      return view.state === 'ended' && view;
    });
    expect(ended).toMatchObject({ job: '@restore', outcome: 'succeeded' });
    expect(readdirSync(join(recovered, 'mine'))).toEqual(['tree']);
  });

  test('that is only tried touches nothing, and is in no journal', async () => {
    const { bed, filename, restore, recovered } = await openBed();
    const { body } = await restore({ confirm: filename, to: 'recovered', dryRun: true });
    expect(body).toMatchObject({ success: true, dry_run: true });
    expect(readdirSync(recovered)).toEqual([]);
    expect(await runs(bed)).toEqual([]);
  });

  test('into a place that is not empty is refused as at the command line, and the run tells it', async () => {
    const { bed, filename, restore, recovered } = await openBed();
    mkdirSync(join(recovered, 'mine'), { recursive: true });
    writeFileSync(join(recovered, 'mine/precious'), 'x');
    const { status, problem } = await restore({ confirm: filename, to: 'recovered', as: 'mine' });
    expect({ status, code: problem.code }).toEqual({ status: 409, code: 'TARGET_REFUSED' });
    expect(await runs(bed)).toMatchObject([{ outcome: 'failed', errors: [{ code: 'TARGET_REFUSED' }] }]);
    expect(readFileSync(join(recovered, 'mine/precious'), 'utf8')).toBe('x');
  });
});

describe('does not leave the target', () => {
  test('through a link in it', async () => {
    const { bed, filename, restore, recovered } = await openBed();
    const outside = join(bed.directory, 'outside');
    mkdirSync(outside);
    symlinkSync(outside, join(recovered, 'mine'));
    const { status, problem } = await restore({ confirm: filename, to: 'recovered', as: 'mine' });
    expect({ status, code: problem.code }).toEqual({ status: 409, code: 'TARGET_REFUSED' });
    expect(problem.detail).toContain('symbolic link');
    expect(await runs(bed)).toEqual([]);
    expect(readdirSync(outside)).toEqual([]);
  });

  test.each(['tree', 'data'])('for what is, or holds, a directory that is backed up: %s', async (as) => {
    const bed = await openApiBed({
      config: (directory) => ({
        jobs: {
          app: {
            schedule: '0 0 29 2 *',
            sources: [{ type: 'files', name: 'tree', directories: ['./tree', './data/inside'] }],
          },
        },
        http: { restoreTargets: [{ name: 'here', directory: join(directory, 'link') }] },
      }),
    });
    mkdirSync(join(bed.directory, 'data/inside'), { recursive: true });
    symlinkSync(bed.directory, join(bed.directory, 'link'));
    const { filename } = await bed.backup();
    const restore = (name: string) =>
      bed.call('POST', `/api/v1/backups/${filename}/restore?wait=true`, {
        body: { confirm: filename, to: 'here', as: name, overwrite: true },
      });
    const { status, problem } = await restore(as);
    expect({ status, code: problem.code }).toEqual({ status: 409, code: 'TARGET_REFUSED' });
    expect(problem.detail).toContain('what the source tree backs up');
    expect((await restore('data2')).status).toBe(200);
  });
});

describe('is refused, with nothing begun,', () => {
  test.each([
    ['without a confirmation', { to: 'recovered' }, 400, 'USAGE'],
    [
      'with that of another archive',
      { confirm: 'files_backup_tree_20200101_000000.tar.gz', to: 'recovered' },
      400,
      'USAGE',
    ],
    ['without a target', { confirm: '*' }, 400, 'USAGE'],
    ['to a target that is not configured', { confirm: '*', to: 'production' }, 409, 'TARGET_REFUSED'],
    ['to any directory', { confirm: '*', to: '/etc' }, 409, 'TARGET_REFUSED'],
    ['to any server', { confirm: '*', to: 'postgresql://u:hunter2@h/d' }, 409, 'TARGET_REFUSED'],
    ['to a server, for files', { confirm: '*', to: 'staging' }, 400, 'USAGE'],
    ['to a path in a target', { confirm: '*', to: 'recovered', as: '../x' }, 400, 'USAGE'],
    ['to the directory above', { confirm: '*', to: 'recovered', as: '..' }, 400, 'USAGE'],
    ['with a key of databases', { confirm: '*', to: 'recovered', clean: true }, 400, 'USAGE'],
    ['with a key that nothing has', { confirm: '*', to: 'recovered', forceSource: true }, 400, 'USAGE'],
    ['with too many jobs', { confirm: '*', to: 'staging', jobs: 65 }, 400, 'USAGE'],
  ])('%s', async (_, body, expected, code) => {
    const { bed, filename, restore, recovered } = await openBed();
    const confirmed = 'confirm' in body && body.confirm === '*' ? { ...body, confirm: filename } : body;
    const { status, problem, text } = await restore(confirmed);
    expect({ status, code: problem.code }).toEqual({ status: expected, code });
    expect(text).not.toMatch(/hunter2|s3cret/);
    expect(await runs(bed)).toEqual([]);
    expect(readdirSync(recovered)).toEqual([]);
  });

  test('where no target is configured', async () => {
    const bed = await openApiBed();
    const { filename } = await bed.backup();
    const { status, problem } = await bed.call('POST', `/api/v1/backups/${filename}/restore`, {
      body: { confirm: filename, to: 'x' },
    });
    expect({ status, code: problem.code, hint: problem.hint }).toEqual({
      status: 409,
      code: 'TARGET_REFUSED',
      hint: expect.stringContaining('there is none yet') as string,
    });
  });
});
