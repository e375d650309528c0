import { spawnSync } from 'node:child_process';
import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ErrorDocument } from '../../src/domain/errors.ts';
import type { Manifest, ManifestSummary } from '../../src/domain/manifest.ts';
import type { RetentionDecision } from '../../src/domain/retention.ts';
import type { VerifyResult } from '../../src/engine/verify.ts';
import { MAIN } from '../support/cofre.ts';
import { NEVER, Workspace } from '../support/workspace.ts';

/** The JSON documents and exit statuses that scripts rely on, from the real program. */

interface ErrorAnswer {
  error: ErrorDocument;
}

let workspace: Workspace;
let first: Manifest;
let second: Manifest;

beforeAll(async () => {
  workspace = new Workspace();
  symlinkSync('note.txt', join(workspace.tree, 'link'));
  workspace.configure({
    timezone: 'Europe/Lisbon',
    retention: { days: 0, keepLast: 1 },
    jobs: {
      tree: workspace.filesJob('0 2 * * *'),
      off: workspace.filesJob(NEVER, 'other', { enabled: false }),
      gone: {
        schedule: NEVER,
        enabled: false,
        sources: [{ type: 'files', name: 'gone', directories: ['/nope'] }],
      },
    },
  });
  first = await workspace.backup('tree');
  second = await workspace.backup('tree');
});

afterAll(() => workspace[Symbol.dispose]());

describe('backup', () => {
  test('runs every enabled job when none is named', async () => {
    const finished = await workspace.run(['backup']);
    const { success, runs } = finished.json<{ success: boolean; runs: { job: string; outcome: string }[] }>();
    expect(finished.status).toBe(0);
    expect(success).toBe(true);
    expect(runs.map(({ job, outcome }) => [job, outcome])).toEqual([['tree', 'succeeded']]);
    const [third] = (await workspace.list()).slice(-1);
    expect((await workspace.run(['delete', third?.filename ?? ''])).status).toBe(0);
  });

  test('a failing run is status 1 with its errors, each with source, code and hint', async () => {
    const finished = await workspace.run(['backup', 'gone']);
    expect(finished.status).toBe(1);
    expect(finished.json()).toMatchObject({
      success: false,
      runs: [
        {
          job: 'gone',
          outcome: 'failed',
          archives: [],
          errors: [{ source: 'gone', code: 'SOURCE_MISSING' }],
        },
      ],
    });
  });

  test('an unknown job is wrong usage, and the answer names those there are', async () => {
    const finished = await workspace.run(['backup', 'nope']);
    expect(finished.status).toBe(2);
    const { error } = finished.json<ErrorAnswer>();
    expect(error.code).toBe('JOB_UNKNOWN');
    expect(error.hint).toContain('tree, off, gone');
  });
});

describe('list and show', () => {
  test('list holds the manifests without contents, oldest first', async () => {
    const finished = await workspace.run(['list']);
    const { backups, count } = finished.json<{ backups: ManifestSummary[]; count: number }>();
    expect(finished.status).toBe(0);
    expect(count).toBe(2);
    const { contents: _, ...summary } = first;
    expect(backups[0]).toEqual(summary);
    expect(backups.map(({ filename }) => filename)).toEqual([first.filename, second.filename]);
  });

  test.each([
    [['--type', 'files'], 2],
    [['--type', 'database'], 0],
    [['--source', 'tree'], 2],
    [['--source', 'other'], 0],
  ])('list %j filters', async (flags, count) => {
    expect((await workspace.run(['list', ...flags])).json()).toMatchObject({ count });
  });

  test('show prints the whole manifest', async () => {
    expect((await workspace.run(['show', first.filename])).json()).toEqual(first);
  });
});

test('a reader that has seen enough, as head, is no fault', () => {
  const script = '"$0" "$1" list --json --config "$2" | true; exit "${PIPESTATUS[0]}"';
  const args = ['-c', script, process.execPath, MAIN, workspace.config];
  const { status, stderr } = spawnSync('bash', args, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

describe('verify', () => {
  test('--all gives one result an archive', async () => {
    const finished = await workspace.run(['verify', '--all']);
    const { results } = finished.json<{ results: VerifyResult[] }>();
    expect(finished.status).toBe(0);
    expect(results.map(({ filename, valid, level }) => [filename, valid, level])).toEqual([
      [first.filename, true, 'contents'],
      [second.filename, true, 'contents'],
    ]);
  });

  test('--level checksum is recorded as such', async () => {
    const finished = await workspace.run(['verify', first.filename, '--level', 'checksum']);
    expect(finished.json()).toMatchObject({ results: [{ level: 'checksum', valid: true }] });
    const shown = (await workspace.run(['show', first.filename])).json<Manifest>();
    expect(shown.verification).toMatchObject({ level: 'checksum', ok: true });
  });

  test.each([
    [['verify'], 'filenames or --all'],
    [['verify', '--all', 'x'], 'filenames or --all'],
    [['verify', '--all', '--level', 'deep'], '--level'],
    [['list', '--type', 'tape'], '--type'],
    [['list', '--colour'], '--colour'],
    [['lst'], 'lst'],
    [['show'], 'filename'],
  ])('%j is wrong usage: status 2 and one error document', async (args, named) => {
    const finished = await workspace.run(args);
    expect(finished.status).toBe(2);
    const { error } = finished.json<ErrorAnswer>();
    expect(error.code).toBe('USAGE');
    expect(error.message).toContain(named);
  });
});

describe('a name that is no backup', () => {
  test.each(['verify', 'show', 'delete', 'pin', 'unpin'])(
    '%s: status 1 and ARCHIVE_UNKNOWN',
    async (command) => {
      const names = ['files_backup_x_20200101_000000.tar', '../manifests/x', '/etc/passwd', '%2e%2e/x', ''];
      const answers = await Promise.all(
        names.map(async (name) => {
          const finished = await workspace.run([command, name]);
          return [name, finished.status, finished.json<ErrorAnswer>().error.code];
        }),
      );
      expect(answers).toEqual(names.map((name) => [name, 1, 'ARCHIVE_UNKNOWN']));
      expect(await workspace.list()).toHaveLength(2);
    },
  );
});

describe('pin, prune and delete', () => {
  test('a pinned backup survives prune and delete until it is unpinned', async () => {
    expect((await workspace.run(['pin', first.filename])).json()).toMatchObject({
      success: true,
      pinned: true,
    });
    const kept = await workspace.run(['prune', '--force']);
    expect(kept.json()).toMatchObject({ removed_count: 0 });
    const refused = await workspace.run(['delete', first.filename]);
    expect(refused.status).toBe(1);
    expect(refused.json<ErrorAnswer>().error.code).toBe('ARCHIVE_PINNED');
    expect((await workspace.run(['unpin', first.filename])).json()).toMatchObject({ pinned: false });
  });

  test('prune --dry-run says what and why, and removes nothing; prune then does it', async () => {
    const planned = await workspace.run(['prune', '--dry-run']);
    expect(planned.status).toBe(0);
    const { removed_count, decisions } = planned.json<{
      removed_count: number;
      decisions: RetentionDecision[];
    }>();
    expect(removed_count).toBe(0);
    expect(decisions.map(({ filename, action }) => [filename, action])).toEqual([
      [first.filename, 'remove'],
      [second.filename, 'keep'],
    ]);
    expect(decisions.every(({ reasons }) => reasons.length > 0)).toBe(true);
    expect(await workspace.list()).toHaveLength(2);

    const pruned = await workspace.run(['prune']);
    expect(pruned.status).toBe(0);
    expect(pruned.json()).toMatchObject({ removed_count: 1 });
    expect((await workspace.list()).map(({ filename }) => filename)).toEqual([second.filename]);
  });

  test('removing more than half of a series is held back: status 1 until it is forced', async () => {
    await workspace.backup('tree');
    await workspace.backup('tree');
    const held = await workspace.run(['prune']);
    expect(held.status).toBe(1);
    expect(held.json()).toMatchObject({ removed_count: 0 });
    expect(await workspace.list()).toHaveLength(3);
    const forced = await workspace.run(['prune', '--force']);
    expect(forced.status).toBe(0);
    expect(forced.json()).toMatchObject({ removed_count: 2 });
  });
});

describe('check, schedule and config schema', () => {
  test('check finds a directory that is missing, and says so with status 1', async () => {
    const finished = await workspace.run(['check']);
    expect(finished.status).toBe(1);
    expect(finished.json()).toMatchObject({
      ok: false,
      findings: expect.arrayContaining([
        expect.objectContaining({ severity: 'error', code: 'SOURCE_MISSING', path: 'gone.gone: /nope' }),
      ]),
    });
  });

  test('check finds a certificate that cannot be used, and tokens that pass in clear text', async () => {
    using other = new Workspace({ ADMIN_TOKEN: 'a-token-of-the-administrator' });
    const tokens = [{ name: 'admin', token: { env: 'ADMIN_TOKEN' }, scopes: ['read'] }];
    const jobs = { tree: other.filesJob() };
    other.configure({ jobs, http: { tls: { cert: 'none.pem', key: 'none.key' }, tokens } });
    const finished = await other.run(['check']);
    expect(finished.status).toBe(1);
    expect(finished.json()).toMatchObject({
      findings: expect.arrayContaining([
        expect.objectContaining({ severity: 'error', code: 'CONFIG_INVALID', path: 'http.tls' }),
      ]),
    });
    other.configure({ jobs, http: { host: '0.0.0.0', tokens } });
    expect((await other.run(['check'])).json()).toMatchObject({
      ok: true,
      findings: expect.arrayContaining([
        expect.objectContaining({ severity: 'warning', message: expect.stringContaining('in clear text') }),
      ]),
    });
  });

  test('check reports an archive that lost its manifest', async () => {
    const [only] = await workspace.list();
    const stray = 'files_backup_tree_20200101_000000.tar';
    writeFileSync(join(workspace.location, 'files', stray), 'x');
    const finished = await workspace.run(['check']);
    expect(finished.json()).toMatchObject({
      findings: expect.arrayContaining([expect.objectContaining({ severity: 'warning', path: stray })]),
    });
    expect((await workspace.list()).map(({ filename }) => filename)).toEqual([only?.filename]);
  });

  test('schedule names the next runs of each job in its time zone', async () => {
    const finished = await workspace.run(['schedule']);
    const { jobs } = finished.json<{ jobs: { job: string; timezone: string; next: string[] }[] }>();
    expect(jobs.map(({ job, timezone }) => [job, timezone])).toEqual([
      ['tree', 'Europe/Lisbon'],
      ['off', 'Europe/Lisbon'],
      ['gone', 'Europe/Lisbon'],
    ]);
    expect(jobs[0]?.next).toHaveLength(5);
    const hours = jobs[0]?.next.map((at) =>
      new Intl.DateTimeFormat('en-GB', { hour: '2-digit', timeZone: 'Europe/Lisbon' }).format(new Date(at)),
    );
    expect(new Set(hours)).toEqual(new Set(['02']));
    expect(jobs[1]?.next).toEqual([]);
  });

  test('config schema prints a JSON Schema', async () => {
    const finished = await workspace.run(['config', 'schema']);
    expect(finished.status).toBe(0);
    expect(finished.json()).toMatchObject({ type: 'object', required: ['location', 'jobs'] });
  });

  test('a configuration that is not there, or does not validate, is status 2', async () => {
    const missing = await workspace.run(['list'], { config: '/nope/config.json' });
    expect([missing.status, missing.json<ErrorAnswer>().error.code]).toEqual([2, 'CONFIG_NOT_FOUND']);
    const broken = join(workspace.dir, 'broken.json');
    writeFileSync(broken, '{ "location": 5, "jbos": {} }');
    const invalid = await workspace.run(['list'], { config: broken });
    expect([invalid.status, invalid.json<ErrorAnswer>().error.code]).toEqual([2, 'CONFIG_INVALID']);
    expect(invalid.stderr).not.toContain('    at ');
  });

  test.each([['schedule'], ['check'], ['backup'], ['list'], ['daemon']])(
    'a connection URI that is malformed is status 2 for %s, named by its source and not shown',
    async (command) => {
      using other = new Workspace({
        FIRST: 'postgresql://u:%ZZs3cret@h/d',
        SECOND: 'postgresql://s3cret:99999/d',
      });
      const sources = ['FIRST', 'SECOND'].map((env) => ({
        type: 'postgres',
        name: env.toLowerCase(),
        url: { env },
      }));
      other.configure({ jobs: { app: { schedule: NEVER, sources } } });
      const finished = await other.run([command]);
      expect(finished.status).toBe(2);
      const { error } = finished.json<ErrorAnswer>();
      expect(error.code).toBe('CONFIG_INVALID');
      expect(error.message).toMatch(/^source first: .*password holds a %/m);
      expect(error.message).toMatch(/^source second: .*port/m);
      expect(finished.stdout + finished.stderr).not.toMatch(/s3cret|%ZZ/);
      expect(existsSync(other.location)).toBe(false);
    },
  );
});
