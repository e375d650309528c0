import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ManifestSummary } from '../../../src/domain/manifest.ts';
import type { RunView } from '../../../src/domain/run-view.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type ApiBed, openApiBed } from '../../support/api-bed.ts';

const AT = '/api/v1/backups';
const ABSENT = 'files_backup_tree_20200101_000000.tar.gz';

async function runOf(bed: ApiBed, run: string): Promise<RunView> {
  return (await bed.call('GET', `/api/v1/runs/${run}`)).body['run'] as RunView;
}

describe('taking a backup', () => {
  test('answers at once with a run that can be asked for until it has ended', async () => {
    const bed = await openApiBed();
    const { status, headers, body } = await bed.call('POST', AT, { body: { job: 'app' } });
    const run = body['run'] as RunView;
    expect(status).toBe(202);
    expect(run).toMatchObject({ job: 'app', state: 'queued', trigger: 'api', actor: 'admin' });
    expect(headers['location']).toBe(`/api/v1/runs/${run.run}`);
    const ended = await waitFor('the end of the run', async () => {
      const view = await runOf(bed, run.run);
      return view.state === 'ended' && view;
    });
    expect(ended).toMatchObject({ outcome: 'succeeded', trigger: 'api', actor: 'admin', errors: [] });
    const [manifest] = bed.app.context.catalogue.list();
    expect(ended.archives).toEqual([manifest?.filename]);
    expect(manifest).toMatchObject({ run: run.run, trigger: 'api', actor: 'admin' });
  });

  test('with wait answers with the result, as the command does', async () => {
    const bed = await openApiBed();
    const { status, body } = await bed.call('POST', `${AT}?wait=true`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      success: true,
      runs: [{ job: 'app', outcome: 'succeeded', errors: [], archives: [{ source: 'tree' }] }],
    });
  });

  test('of no job in particular runs every enabled one, and one that fails is no success', async () => {
    const files = (name: string, directory: string) => ({
      schedule: '0 0 29 2 *',
      sources: [{ type: 'files', name, directories: [directory] }],
    });
    const bed = await openApiBed({
      config: () => ({
        jobs: {
          app: files('tree', './tree'),
          off: { ...files('off', './tree'), enabled: false },
          broken: files('broken', './not-there'),
        },
      }),
    });
    const { body } = await bed.call('POST', `${AT}?wait=true`);
    expect(body).toMatchObject({
      success: false,
      runs: [
        { job: 'app', outcome: 'succeeded' },
        { job: 'broken', outcome: 'failed', errors: [{ code: 'SOURCE_MISSING', source: 'broken' }] },
      ],
    });
    expect((await bed.call('POST', `${AT}?wait=true`, { body: { job: 'off' } })).body['success']).toBe(true);
  });

  test('of a job that is under way is refused, whoever asks, and again possible when it has ended', async () => {
    const bed = await openApiBed({
      config: () => ({
        jobs: {
          app: {
            schedule: '0 0 29 2 *',
            hooks: { before: ['sleep', '0.4'] },
            sources: [{ type: 'files', name: 'tree', directories: ['./tree'] }],
          },
        },
      }),
    });
    const first = bed.call('POST', `${AT}?wait=true`, { body: { job: 'app' } });
    await waitFor('the first run', () => bed.board.live().length > 0);
    for (const body of [{ job: 'app' }, {}]) {
      const { status, problem } = await bed.call('POST', AT, { body });
      expect(status).toBe(409);
      expect(problem).toMatchObject({ code: 'JOB_BUSY', path: 'app' });
    }
    expect((await bed.call('POST', '/sistema/backup/executar')).status).toBe(409);
    expect((await first).body).toMatchObject({ success: true });
    expect((await bed.call('POST', `${AT}?wait=true`, { body: { job: 'app' } })).status).toBe(200);
  });

  test('of two requests at once one begins', async () => {
    const bed = await openApiBed();
    const replies = await Promise.all([
      bed.call('POST', `${AT}?wait=true`),
      bed.call('POST', `${AT}?wait=true`),
    ]);
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200, 409]));
    expect(bed.app.context.catalogue.list()).toHaveLength(1);
  });

  test('of a job that another process runs is refused; of one whose process died it is not', async () => {
    const bed = await openApiBed();
    const { location, journal } = bed.app.context;
    await journal.append({
      event: 'started',
      at: new Date().toISOString(),
      run: '20261127_000000-abcdef',
      job: 'app',
      trigger: 'cli',
      actor: 'cli:somebody',
      sources: ['tree'],
    });
    {
      await using _lock = await location.lock('job.app', new AbortController().signal);
      expect((await bed.call('POST', AT, { body: { job: 'app' } })).problem.code).toBe('JOB_BUSY');
    }
    expect((await bed.call('POST', `${AT}?wait=true`, { body: { job: 'app' } })).status).toBe(200);
    expect(await runOf(bed, '20261127_000000-abcdef')).toMatchObject({
      outcome: 'failed',
      errors: [{ code: 'INTERRUPTED' }],
    });
  });

  test.each([
    [{ job: 'nope' }, 404, 'JOB_UNKNOWN'],
    [{ job: 7 }, 400, 'USAGE'],
    [{ jobs: ['app'] }, 400, 'USAGE'],
    [{ job: 'app', wait: true }, 400, 'USAGE'],
    [[], 400, 'USAGE'],
  ])('with %j is refused with %d', async (body, status, code) => {
    const bed = await openApiBed();
    const reply = await bed.call('POST', AT, { body });
    expect(reply.status).toBe(status);
    expect(reply.headers['content-type']).toContain('application/problem+json');
    expect(reply.problem).toMatchObject({ status, code, instance: AT });
    expect(bed.app.context.catalogue.list()).toEqual([]);
  });

  test('while the daemon starts or stops is refused', async () => {
    const bed = await openApiBed({ isReady: () => false });
    const { status, problem } = await bed.call('POST', AT);
    expect({ status, code: problem.code }).toEqual({ status: 503, code: 'CANCELLED' });
  });
});

describe('listing', () => {
  /** As many archives as asked, made out of one, a minute apart. */
  async function listed(count: number): Promise<{ bed: ApiBed; names: string[] }> {
    const bed = await openApiBed();
    const { root, manifestPath } = paths(bed);
    const first = await bed.backup();
    const manifest = JSON.parse(readFileSync(manifestPath(first.filename), 'utf8')) as ManifestSummary;
    const names = Array.from({ length: count }, (_, at) => {
      const timestamp = `20250101_00${String(at).padStart(2, '0')}00`;
      const filename = `files_backup_tree_${timestamp}.tar.gz`;
      writeFileSync(manifestPath(filename), JSON.stringify({ ...manifest, filename, timestamp }));
      return filename;
    });
    renameSync(manifestPath(first.filename), join(root, 'elsewhere.json'));
    return { bed, names };
  }

  function paths({ app }: ApiBed) {
    const { location } = app.context;
    return { root: location.root, manifestPath: (filename: string) => location.manifestPath(filename) };
  }

  async function page(bed: ApiBed, query: string) {
    const { body } = await bed.call('GET', `${AT}?${query}`);
    return {
      names: body.backups.map(({ filename }) => filename),
      next: body['next_cursor'] as string | null,
    };
  }

  test('is oldest first, without contents, with the counts of page and whole', async () => {
    const { bed, names } = await listed(5);
    const { status, body } = await bed.call('GET', AT);
    expect(status).toBe(200);
    expect(body).toMatchObject({ success: true, count: 5, total: 5, next_cursor: null });
    expect(body.backups.map(({ filename }) => filename)).toEqual(names);
    expect(body.backups[0]).not.toHaveProperty('contents');
    expect((await page(bed, 'order=newest')).names).toEqual(names.toReversed());
  });

  test.each(['oldest', 'newest'])(
    '%s first by pages has each once, though archives come and go',
    async (order) => {
      const { bed, names } = await listed(6);
      const { manifestPath } = paths(bed);
      const wanted = order === 'oldest' ? names : names.toReversed();
      const first = await page(bed, `order=${order}&limit=2`);
      expect(first.names).toEqual(wanted.slice(0, 2));
      // The last one of the page goes, and a newer and an older one come.
      renameSync(manifestPath(wanted[1] ?? ''), manifestPath('files_backup_tree_20240101_000000.tar.gz'));
      const second = await page(bed, `order=${order}&limit=3&cursor=${first.next}`);
      expect(second.names).toEqual(wanted.slice(2, 5));
      const third = await page(bed, `order=${order}&limit=3&cursor=${second.next}`);
      expect(third.names[0]).toBe(wanted[5]);
      expect(third.next).toBeNull();
    },
  );

  test('by type and source', async () => {
    const { bed } = await listed(2);
    expect((await page(bed, 'type=files&source=tree')).names).toHaveLength(2);
    expect((await page(bed, 'type=database')).names).toEqual([]);
    expect((await page(bed, 'source=other')).names).toEqual([]);
  });

  test.each([
    'limit=0',
    'limit=1001',
    'limit=-1',
    'limit=1e2',
    'limit=',
    'limit=1&limit=2',
    'type=tar',
    'source=../x',
    'cursor=bm9uZQ',
    'cursor=',
    'cursor=%00',
    'offset=1',
    'order=up',
  ])('with %s is refused with 400', async (query) => {
    const bed = await openApiBed();
    const { status, problem } = await bed.call('GET', `${AT}?${query}`);
    expect({ status, code: problem.code }).toEqual({ status: 400, code: 'USAGE' });
  });
});

test('a location that is gone is 503, and no fault of ours', async () => {
  const bed = await openApiBed();
  const { root } = bed.app.context.location;
  renameSync(root, `${root}-elsewhere`);
  for (const url of [AT, `${AT}/${ABSENT}`, '/sistema/backup/listar']) {
    const { status, problem } = await bed.call('GET', url);
    expect({ url, status, code: problem.code }).toEqual({ url, status: 503, code: 'LOCATION_UNUSABLE' });
  }
  expect(bed.failed).toEqual([]);
  renameSync(`${root}-elsewhere`, root);
  expect((await bed.call('GET', AT)).status).toBe(200);
});

describe('one archive', () => {
  test('is shown, with its contents apart, verified, pinned and deleted', async () => {
    const bed = await openApiBed();
    const { filename, contents, ...backup } = await bed.backup();
    const at = `${AT}/${filename}`;
    expect((await bed.call('GET', at)).body).toEqual({ success: true, backup: { filename, ...backup } });
    expect((await bed.call('GET', `${at}/contents`)).body).toEqual({ success: true, filename, contents });
    const verified = await bed.call('POST', `${at}/verify`, { body: { level: 'checksum' } });
    expect(verified.body).toMatchObject({ success: true, filename, valid: true, level: 'checksum' });
    expect((await bed.call('POST', `${at}/verify`)).body).toMatchObject({ valid: true, level: 'contents' });

    expect((await bed.call('POST', `${at}/pin`)).body).toEqual({ success: true, filename, pinned: true });
    const pinned = await bed.call('DELETE', at);
    expect(pinned.status).toBe(409);
    expect(pinned.problem).toMatchObject({ code: 'ARCHIVE_PINNED', path: filename, instance: at });
    expect((await bed.call('POST', `${at}/unpin`)).body).toMatchObject({ pinned: false });
    expect((await bed.call('DELETE', at)).body).toEqual({ success: true, filename });
    expect((await bed.call('GET', at)).status).toBe(404);
    const [deletion] = (await bed.call('GET', '/api/v1/runs?job=@delete')).body['runs'] as RunView[];
    expect(deletion).toMatchObject({ trigger: 'api', actor: 'admin', removed: [filename] });
  });

  test('that is damaged does not verify; the check was made all the same', async () => {
    const bed = await openApiBed();
    const { filename } = await bed.backup();
    const path = bed.app.context.location.archivePath('files', filename);
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0, 40, 60));
    const { status, body } = await bed.call('POST', `${AT}/${filename}/verify`);
    expect({ status, body }).toMatchObject({ status: 200, body: { success: true, valid: false } });
  });

  test.each([
    ['GET', ''],
    ['GET', '/contents'],
    ['GET', '/download'],
    ['DELETE', ''],
    ['POST', '/verify'],
    ['POST', '/pin'],
    ['POST', '/unpin'],
    ['POST', '/drill'],
  ])('%s …%s of a name that is none is 404, wherever it leads', async (method, suffix) => {
    const bed = await openApiBed();
    const names = [ABSENT, 'x', '%2e%2e%2fconfig.json', '..%2F..%2Fetc%2Fpasswd', '%00', 'é'];
    for (const name of names.map((each) => encodeURI(each).replaceAll('%25', '%'))) {
      const { status, problem } = await bed.call(method, `${AT}/${name}${suffix}`);
      const code = 'ARCHIVE_UNKNOWN';
      expect({ name, status, code: problem.code }).toEqual({ name, status: 404, code });
    }
    expect(bed.failed).toEqual([]);
  });
});
