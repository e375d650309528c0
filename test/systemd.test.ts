import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SHUTDOWN_DEADLINE_MS } from '../src/daemon/daemon.ts';
import { requireProgram } from './support/require-program.ts';

const run = promisify(execFile);
const SOURCE = join(import.meta.dirname, '../systemd');
/** Tenths of systemd's exposure level, which goes from 0 (best) to 10. */
const EXPOSURE_MAX = 25;

let directory: string;
let unit: string;

beforeEach(async () => {
  requireProgram('systemd-analyze', 'systemd');
  directory = await mkdtemp(join(tmpdir(), 'cofre-unit-'));
  unit = join(directory, 'cofre.service');
  // verify wants the program of ExecStart to exist; that of an installed cofre does not exist here.
  const text = await readFile(join(SOURCE, 'cofre.service'), 'utf8');
  await writeFile(unit, text.replace('\nExecStart=/opt/cofre/bin/node ', `\nExecStart=${process.execPath} `));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** What `systemd-analyze verify` says about the unit: nothing, when there is nothing to say. */
async function verify(): Promise<string> {
  // It exits with 0 on unknown keys and misspelt values: only its output tells.
  const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', unit]).catch(
    (error: unknown) => error as { stdout: string; stderr: string },
  );
  return stdout + stderr;
}

async function security(): Promise<void> {
  await run('systemd-analyze', ['security', '--offline=true', `--threshold=${EXPOSURE_MAX}`, unit]);
}

async function addDropIns(): Promise<void> {
  await cp(join(SOURCE, 'cofre.service.d'), `${unit}.d`, { recursive: true });
}

describe('systemd/cofre.service', () => {
  test('systemd-analyze verify prints nothing', async () => {
    expect(await verify()).toBe('');
  });

  test('systemd-analyze verify prints nothing with the example drop-ins', async () => {
    await addDropIns();
    expect(await verify()).toBe('');
  });

  test('a misspelt key would be noticed', async () => {
    await writeFile(unit, `${await readFile(unit, 'utf8')}\n[Service]\nProtectHoem=yes\n`);
    expect(await verify()).toContain('ProtectHoem');
  });

  test('scores at most 2.5 in systemd-analyze security', async () => {
    await expect(security()).resolves.toBeUndefined();
  });

  test('scores at most 2.5 with the example drop-ins', async () => {
    await addDropIns();
    await expect(security()).resolves.toBeUndefined();
  });

  test('a unit without its hardening would not pass', async () => {
    const text = await readFile(unit, 'utf8');
    await writeFile(unit, text.replaceAll(/^(?:Protect|Restrict|SystemCall|Private).*$/gm, ''));
    await expect(security()).rejects.toThrow(/Command failed/);
  });

  test('every setting has its reason above it', async () => {
    const lines = (await readFile(join(SOURCE, 'cofre.service'), 'utf8')).split('\n');
    // A comment counts for the settings that follow it without a blank line or another comment between.
    const unexplained = lines.filter((line, index) => {
      if (!/^[A-Z]\w+=/.test(line)) return false;
      let above = index - 1;
      while (/^#?[A-Z]\w+=/.test(lines[above] ?? '')) above -= 1;
      return !lines[above]?.startsWith('# ');
    });
    expect(unexplained).toEqual([
      'Description=cofre, scheduled and verified backups of PostgreSQL and directories',
      'Documentation=file:///opt/cofre/docs/operation.md',
      'WantedBy=multi-user.target',
    ]);
  });

  test('lets drills set the modes of what they extract', async () => {
    // Its filter fails chmod(2) with setuid or setgid bits.
    expect(await readFile(unit, 'utf8')).not.toMatch(/^RestrictSUIDSGID=/m);
  });

  test('leaves the daemon longer to stop than its drain takes, and stops its children after it', async () => {
    const text = await readFile(unit, 'utf8');
    const stop_s = Number(/^TimeoutStopSec=(\d+)s$/m.exec(text)?.[1]);
    expect(stop_s * 1_000).toBeGreaterThan(SHUTDOWN_DEADLINE_MS);
    expect(text).toMatch(/^KillMode=mixed$/m);
  });
});
