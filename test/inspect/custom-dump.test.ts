import { existsSync, statSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CustomDumpInspector } from '../../src/inspect/custom-dump.ts';

/*
 * Programs that stand in for a pg_restore that misbehaves, as real processes; the real one is in
 * dumps.pg.test.ts.
 */

const WHOLE = "printf -- '--\\n-- PostgreSQL database dump complete\\n--\\n\\n'";
/** More than a pipe and two buffers hold. */
const CHUNK = Buffer.alloc(4 << 20, 'x');
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cofre-custom-'));
});

afterAll(async () => {
  await rm(dir, { recursive: true });
});

async function inspectorOf(
  script: string,
  signal: AbortSignal = new AbortController().signal,
): Promise<CustomDumpInspector> {
  const pgRestore = join(dir, `pg_restore-${crypto.randomUUID()}`);
  await writeFile(pgRestore, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return new CustomDumpInspector({ pgRestore, env: { ...process.env, DIR: dir }, signal });
}

async function feed(inspector: CustomDumpInspector, chunks: number): Promise<void> {
  for (let count = 0; count < chunks; count += 1) await inspector.write(CHUNK);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A shell makes a file before it writes to it. */
function isWritten(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('how pg_restore ends', () => {
  test('a dump of no bytes is empty, and no program is started', async () => {
    await using inspector = new CustomDumpInspector({
      pgRestore: '/nonexistent/pg_restore',
      env: {},
      signal: new AbortController().signal,
    });
    await inspector.write(Buffer.alloc(0));
    await expect(inspector.end()).rejects.toMatchObject({ code: 'DUMP_EMPTY' });
  });

  test('a program that is not there is TOOL_MISSING', async () => {
    await using inspector = new CustomDumpInspector({
      pgRestore: '/nonexistent/pg_restore',
      env: {},
      signal: new AbortController().signal,
    });
    await expect(inspector.write(CHUNK)).rejects.toMatchObject({ code: 'TOOL_MISSING' });
  });

  test('status 0 and a whole dump is a success', async () => {
    await using inspector = await inspectorOf(`cat >/dev/null; ${WHOLE}`);
    await feed(inspector, 3);
    expect(await inspector.end()).toMatchObject({ tables: [] });
  });

  test('status 0 before the last byte was read is a success too', async () => {
    await using inspector = await inspectorOf(`head -c 1 >/dev/null; ${WHOLE}`);
    await feed(inspector, 5);
    expect(await inspector.end()).toMatchObject({ tables: [] });
  });

  test('a failure before the last byte was read is ARCHIVE_CORRUPT with its message', async () => {
    await using inspector = await inspectorOf('echo "pg_restore: error: broken" >&2; exit 1');
    const fed = feed(inspector, 5);
    await expect(fed).rejects.toMatchObject({
      code: 'ARCHIVE_CORRUPT',
      message: expect.stringContaining('pg_restore: error: broken'),
    });
  });

  test('trap: exit status lost in a pipe (a failure after a whole dump still counts)', async () => {
    await using inspector = await inspectorOf(`cat >/dev/null; ${WHOLE}; exit 1`);
    await feed(inspector, 2);
    await expect(inspector.end()).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT' });
  });

  test('status 0 and half a dump is DUMP_TRUNCATED', async () => {
    await using inspector = await inspectorOf('cat >/dev/null; echo "SELECT 1;"');
    await feed(inspector, 1);
    await expect(inspector.end()).rejects.toMatchObject({ code: 'DUMP_TRUNCATED' });
  });

  test('being killed says nothing about the archive', async () => {
    await using inspector = await inspectorOf('kill -9 $$');
    await expect(feed(inspector, 5)).rejects.toMatchObject({ code: 'TOOL_FAILED' });
  });

  test('being too old says nothing about the archive', async () => {
    const message = 'pg_restore: error: unsupported version (1.99) in file header';
    await using inspector = await inspectorOf(`cat >/dev/null; echo "${message}" >&2; exit 1`);
    await feed(inspector, 1);
    await expect(inspector.end()).rejects.toMatchObject({
      code: 'TOOL_FAILED',
      message: expect.stringContaining('unsupported version'),
    });
  });
});

describe('while it runs', () => {
  test('write waits while pg_restore does not read', async () => {
    await using inspector = await inspectorOf(
      `touch "$DIR/started"; while ! [ -e "$DIR/go" ]; do sleep 0.02; done; cat >/dev/null; ${WHOLE}`,
    );
    let isWelcome = false;
    const writing = inspector.write(CHUNK).then(() => {
      isWelcome = true;
    });
    await until(() => existsSync(join(dir, 'started')));
    expect(isWelcome).toBe(false);
    await writeFile(join(dir, 'go'), '');
    await writing;
    expect(isWelcome).toBe(true);
    await inspector.end();
  });

  test('it reads what pg_restore prints before the input has ended', async () => {
    await using inspector = await inspectorOf(
      `echo "SELECT '"; head -c 4000000 /dev/zero; echo "';"; cat >/dev/null; ${WHOLE}`,
    );
    await feed(inspector, 2);
    expect(await inspector.end()).toMatchObject({ tables: [] });
  });

  test('an abort ends pg_restore and the write that waits for it', async () => {
    const controller = new AbortController();
    await using inspector = await inspectorOf('echo $$ >"$DIR/aborted"; exec sleep 60', controller.signal);
    const writing = inspector.write(CHUNK);
    await until(() => isWritten(join(dir, 'aborted')));
    controller.abort(new Error('enough'));
    await expect(writing).rejects.toThrow('enough');
    const pid = Number(await readFile(join(dir, 'aborted'), 'utf8'));
    expect(pid).toBeGreaterThan(0);
    expect(isAlive(pid)).toBe(false);
  });

  test('disposing ends pg_restore', async () => {
    let pid: number;
    {
      await using inspector = await inspectorOf('echo $$ >"$DIR/disposed"; exec sleep 60');
      await inspector.write(Buffer.of(1));
      await until(() => isWritten(join(dir, 'disposed')));
      pid = Number(await readFile(join(dir, 'disposed'), 'utf8'));
    }
    expect(pid).toBeGreaterThan(0);
    expect(isAlive(pid)).toBe(false);
  });
});
