import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, test } from 'vitest';
import { COMPILE_CACHE } from './support/cofre.ts';
import { Demo } from './support/demo.ts';

const execFileAsync = promisify(execFile);
const MAIN = join(import.meta.dirname, '../src/main.ts');
const TIMEOUT_MS = 150_000;
const ESCAPE = String.fromCharCode(27);

interface ListAnswer {
  backups: { type: string; filename: string; filepath: string }[];
}

interface VerifyAnswer {
  results: { filename: string; valid: boolean }[];
}

async function cofre<Answer>(args: string[], folder: string): Promise<Answer> {
  const argv = [MAIN, ...args, '--json', '--config', join(folder, 'config.json')];
  const env = { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE };
  const { stdout } = await execFileAsync(process.execPath, argv, { env });
  return JSON.parse(stdout) as Answer;
}

describe.concurrent('npm run demo', () => {
  test.for(['postgres', 'pglite'])(
    'shows the main job on %s, and leaves only its folder, with archives that verify',
    { timeout: TIMEOUT_MS },
    async (database, { expect }) => {
      await using demo = new Demo(database);
      expect({ code: await demo.exitCode(), stderr: demo.stderr }).toEqual({ code: 0, stderr: '' });
      const { folder, stdout } = demo;
      for (const part of [
        database === 'pglite' ? 'the database is PGlite' : 'throwaway server of PostgreSQL',
        'run of shop succeeded',
        '2 verified',
        `${folder}/backups/database/db_backup_shop_`,
        '"status": "ok"',
        'cofre_runs_total{job="shop",outcome="succeeded"} ',
        '.sql.gz removed: outside every rule',
        '.tar.gz removed: outside every rule',
        'cofre has stopped',
        'Exit status 0.',
        'order_items        3750 rows, restored 3750',
        'revenue_by_month     12 rows, restored 12',
        `verify --all --config ${folder}/config.json`,
        `rm -r ${folder}`,
      ]) {
        expect(stdout).toContain(part);
      }
      expect(stdout.match(/ is a backup: /g)?.length).toBeGreaterThanOrEqual(4);
      expect(stdout.includes('always writes INSERT statements')).toBe(database === 'pglite');
      expect(stdout).not.toContain(ESCAPE);
      expect(await demo.leftovers()).toEqual(demo.onlyItsFolder);

      const { backups } = await cofre<ListAnswer>(['list'], folder);
      expect(new Set(backups.map(({ type }) => type))).toEqual(new Set(['database', 'files']));
      const { results } = await cofre<VerifyAnswer>(['verify', '--all'], folder);
      expect(results.map(({ filename, valid }) => ({ filename, valid }))).toEqual(
        backups.map(({ filename }) => ({ filename, valid: true })),
      );
      // The commands to type next name the archives that are there.
      const newest = (wanted: string) => backups.findLast(({ type }) => type === wanted)?.filepath ?? wanted;
      const [dump, tar] = [newest('database'), newest('files')];
      expect(stdout).toContain(`gunzip -c ${dump} | psql`);
      expect(stdout).toContain(`tar xzf ${tar} -C`);
      const members = execFileSync('tar', ['tzf', tar], { encoding: 'utf8' });
      expect(members).toContain('uploads/images/featured.png\n');
    },
  );

  test('interrupted by Ctrl-C, it says so, exits with 1 and leaves only its folder', {
    timeout: TIMEOUT_MS,
  }, async ({ expect }) => {
    await using demo = new Demo('postgres');
    await demo.printed('cofre is ready');
    expect(demo.processes().length).toBeGreaterThan(2);
    demo.kill('SIGINT');
    expect(await demo.exitCode()).toBe(1);
    expect(demo.stderr).toContain('interrupted by SIGINT');
    expect(demo.stderr).toContain(`left in ${demo.folder}`);
    expect(await demo.leftovers()).toEqual(demo.onlyItsFolder);
  });

  test('when the daemon dies, it says so, exits with 1 and leaves only its folder', {
    timeout: TIMEOUT_MS,
  }, async ({ expect }) => {
    await using demo = new Demo('postgres');
    await demo.printed('cofre is ready');
    const daemon = demo.processes().find(({ args }) => /main\.ts.daemon/s.test(args));
    if (daemon === undefined) throw new Error('there is no daemon');
    process.kill(daemon.pid, 'SIGKILL');
    expect(await demo.exitCode()).toBe(1);
    expect(demo.stderr).toContain('the daemon ended while a run was waited for');
    expect(await demo.leftovers()).toEqual(demo.onlyItsFolder);
  });

  test('when the demo itself is killed, nothing it started lives on', { timeout: TIMEOUT_MS }, async ({
    expect,
  }) => {
    await using demo = new Demo('postgres');
    await demo.printed('cofre is ready');
    expect(demo.processes().length).toBeGreaterThan(2);
    demo.kill('SIGKILL');
    await demo.exitCode();
    expect(await demo.leftovers()).toEqual(demo.onlyItsFolder);
  });

  test('an unknown COFRE_DEMO_DATABASE is refused, naming what is allowed', async ({ expect }) => {
    await using demo = new Demo('mysql');
    expect(await demo.exitCode()).toBe(1);
    expect(demo.stderr).toContain('COFRE_DEMO_DATABASE is "mysql"; allowed are postgres and pglite');
    expect(await demo.leftovers()).toEqual({ processes: [], files: [], cluster: [] });
  });
});
