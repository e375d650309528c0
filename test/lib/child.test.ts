import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import { childOutput, type ChildOptions, outputText, runChild, startChild } from '../../src/lib/child.ts';
import { OutputSocket } from '../../src/lib/output-socket.ts';
import { breakSockets, SOCKET_ERROR } from '../support/breaking-sockets.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { isAlive } from '../support/processes.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';
import { waitFor } from '../support/wait-for.ts';

/** A program that does what the script says. */
function script(text: string, options: Partial<ChildOptions> = {}): ChildOptions {
  return {
    command: 'sh',
    args: ['-c', text],
    env: { PATH: process.env['PATH'] },
    signal: NO_ABORT,
    label: 'program',
    ...options,
  };
}

/** Everything a stream gave before it ended or threw. */
async function drain(stream: AsyncIterable<Buffer>): Promise<{ text: string; error: unknown }> {
  let text = '';
  try {
    for await (const chunk of stream) text += chunk.toString();
    return { text, error: undefined };
  } catch (error) {
    return { text, error };
  }
}

async function pidFrom(path: string): Promise<number> {
  return await waitFor('the pid', async () => Number(await readFile(path, 'utf8')) || undefined);
}

function aborting(): { controller: AbortController; reason: BackupError } {
  return { controller: new AbortController(), reason: new BackupError('CANCELLED', 'stopped') };
}

describe('a failed dump counted as success', () => {
  test.each([
    ['exits with a status other than 0', 'printf data; exit 3', /exited with status 3/],
    ['closes its stdout and fails afterwards', 'printf data; exec 1>&-; sleep 0.1; exit 1', /status 1/],
    ['is killed half-way', 'printf data; kill -9 $$', /killed by SIGKILL/],
    ['is ended from outside', 'printf data; kill -15 $$', /killed by SIGTERM/],
    ['writes nothing and fails', 'exit 1', /status 1/],
  ])('a program that %s makes the stream throw after the last byte', async (_, text, message) => {
    const { text: data, error } = await drain(childOutput(script(text)));
    expect(data).toBe(text.includes('data') ? 'data' : '');
    expect(error).toMatchObject({ code: 'TOOL_FAILED', message: expect.stringMatching(message) as string });
  });

  test('a program that answers the abort with status 0 has not succeeded', async () => {
    const { controller, reason } = aborting();
    const text = "trap 'exit 0' TERM; printf data; while :; do sleep 0.02; done";
    const stream = childOutput(script(text, { signal: controller.signal }));
    const first = await stream.next();
    controller.abort(reason);
    expect(first.value?.toString()).toBe('data');
    expect((await drain(stream)).error).toBe(reason);
  });

  test('a stream that ends has given every byte', async () => {
    const { text, error } = await drain(childOutput(script('seq 1 50000; exit 0')));
    expect(error).toBeUndefined();
    expect(text).toBe(Array.from({ length: 50_000 }, (_, index) => `${index + 1}\n`).join(''));
  });
});

describe('the end of a program', () => {
  test('an abort ends the whole group, grandchildren too, and the stream with its reason', async () => {
    const pids = join(await temporaryDirectory(), 'pids');
    const { controller, reason } = aborting();
    // The grandchild holds the pipe, as a compressor that pg_dump starts would.
    const text = `sleep 300 & echo $! > ${pids}; printf data; wait`;
    const stream = childOutput(script(text, { signal: controller.signal }));
    await stream.next();
    const grandchild = await pidFrom(pids);
    expect(isAlive(grandchild)).toBe(true);
    controller.abort(reason);
    expect((await drain(stream)).error).toBe(reason);
    await waitFor('the grandchild to be gone', () => !isAlive(grandchild));
  });

  test('a reader who leaves early leaves no process behind', async () => {
    const pids = join(await temporaryDirectory(), 'pids');
    for await (const chunk of childOutput(script(`echo $$ > ${pids}; exec yes`))) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    expect(isAlive(await pidFrom(pids))).toBe(false);
  });

  test('one that ignores SIGTERM is killed', async () => {
    const { controller, reason } = aborting();
    const text = "trap '' TERM; printf data; while :; do sleep 0.05; done";
    const stream = childOutput(script(text, { signal: controller.signal }));
    await stream.next();
    controller.abort(reason);
    expect((await drain(stream)).error).toBe(reason);
  });

  test('a signal that is aborted already starts nothing', async () => {
    const { controller, reason } = aborting();
    controller.abort(reason);
    const path = join(await temporaryDirectory(), 'started');
    await expect(runChild(script(`touch ${path}`, { signal: controller.signal }))).rejects.toBe(reason);
    await expect(readFile(path)).rejects.toThrow('ENOENT');
  });
});

describe('a program that leaves something running with its pipes', () => {
  /** Ends it when the test is over, whatever the test found. */
  async function leftRunning(pids: string): Promise<number> {
    const pid = await pidFrom(pids);
    onTestFinished(() => {
      if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    });
    return pid;
  }

  test('has ended with its own end if it may, and what it left outlives a later abort', async () => {
    const pids = join(await temporaryDirectory(), 'pids');
    const { controller, reason } = aborting();
    const text = `sleep 300 & echo $! > ${pids}; exit 3`;
    const child = await startChild(script(text, { signal: controller.signal, pipesAfterExit_ms: 50 }));
    child.stdout.resume();
    expect(await child.exited).toEqual({ code: 3, signal: null });
    const pid = await leftRunning(pids);
    controller.abort(reason);
    child.kill();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isAlive(pid)).toBe(true);
  });

  test('keeps what it left also from an abort in the moment before its pipes are closed', async () => {
    const pids = join(await temporaryDirectory(), 'pids');
    const { controller, reason } = aborting();
    const text = `sleep 300 & echo $! > ${pids}; exit 0`;
    const child = await startChild(script(text, { signal: controller.signal, pipesAfterExit_ms: 1_000 }));
    child.stdout.resume();
    const pid = await leftRunning(pids);
    await waitFor('its end', () => !isAlive(child.pid));
    // The end is known to us a moment after it is seen in /proc.
    await new Promise((resolve) => setTimeout(resolve, 200));
    controller.abort(reason);
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(isAlive(pid)).toBe(true);
  });

  test('is ended with all of it by an abort that comes before its end', async () => {
    const pids = join(await temporaryDirectory(), 'pids');
    const { controller, reason } = aborting();
    const text = `(trap '' TERM; while :; do sleep 0.05; done) & echo $! > ${pids}; wait`;
    const child = await startChild(script(text, { signal: controller.signal, pipesAfterExit_ms: 50 }));
    const pid = await leftRunning(pids);
    controller.abort(reason);
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    await waitFor('what it left to be gone', () => !isAlive(pid));
  });

  test('is ended with all of it when something kills it: nobody is there to end what it left', async () => {
    const pids = join(await temporaryDirectory(), 'pids');
    const child = await startChild(script(`sleep 1000 & echo $! > ${pids}; wait`));
    const pid = await pidFrom(pids);
    process.kill(child.pid, 'SIGKILL');
    child.stdout.resume();
    expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' });
    await waitFor('what it left to be gone', () => !isAlive(pid));
  });

  test('runs, where its output matters, until the last of its writers has ended', async () => {
    const { stdout } = await runChild(script('(sleep 0.3; echo late) & exit 0'));
    expect(stdout).toBe('late\n');
  });
});

describe('what a program is given', () => {
  test('its environment is the one asked for and nothing more', async () => {
    const env = { PATH: process.env['PATH'], GREETING: 'hello' };
    const { stdout } = await runChild(script('env', { env, command: 'env', args: [] }));
    expect(stdout.trim().split('\n').sort()).toEqual(['GREETING=hello', `PATH=${process.env['PATH']}`]);
  });

  test('arguments go through as they are: no shell is involved', async () => {
    const args = ['%s|', '$HOME', '`id`', 'a b', '; rm -rf x', '*'];
    const { stdout } = await runChild(script('', { command: 'printf', args }));
    expect(stdout).toBe(`${args.slice(1).join('|')}|`);
  });

  test('stdin is empty unless it is asked for', async () => {
    expect((await runChild(script('cat'))).stdout).toBe('');
    const child = await startChild(script('cat', { stdin: 'pipe' }));
    child.stdin?.end('through the pipe');
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe('through the pipe');
    expect(await child.exited).toEqual({ code: 0, signal: null });
  });

  test('a program that does not read its stdin does not end ours', async () => {
    const child = await startChild(script('exit 0', { stdin: 'pipe' }));
    child.stdin?.write(Buffer.alloc(1_000_000));
    child.stdout.resume();
    expect((await child.exited).code).toBe(0);
  });

  test('cwd is where it runs', async () => {
    const cwd = await temporaryDirectory();
    expect((await runChild(script('pwd -P', { cwd }))).stdout.trim()).toBe(cwd);
  });
});

describe('what a program tells', () => {
  test('the message holds the end of stderr, where the reason stands', async () => {
    const text =
      'i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done >&2; echo "the reason" >&2; exit 1';
    const { error } = await drain(childOutput(script(text)));
    const { message } = error as BackupError;
    expect(message).toMatch(/the reason$/);
    expect(message).not.toContain('line 1\n');
    expect(message.length).toBeLessThan(9_000);
  });

  test('running it to its end tells status and output, whatever the status', async () => {
    const result = await runChild(script('echo out; echo err >&2; exit 7'));
    expect(result).toEqual({ code: 7, signal: null, stdout: 'out\n', stderr: 'err' });
  });

  test('of one that goes wild the first MiB is kept, and it still runs to its end', async () => {
    const { code, stdout, stderr } = await runChild(
      script('echo first; seq 1 1000000; echo end >&2; exit 5'),
    );
    expect({ code, stderr, length: stdout.length }).toEqual({ code: 5, stderr: 'end', length: 1024 * 1024 });
    expect(stdout.startsWith('first\n1\n2\n')).toBe(true);
  });

  test('one that is missing, or is no program, is TOOL_MISSING', async () => {
    const file = join(await temporaryDirectory(), 'pg_dump');
    await writeFile(file, 'text', { mode: 0o644 });
    for (const command of ['no-such-program', '/nonexistent/pg_dump', file]) {
      const { error } = await drain(childOutput(script('', { command, label: 'pg_dump' })));
      expect(error).toMatchObject({ code: 'TOOL_MISSING', path: command });
      expect((error as BackupError).hint).toContain('pg_dump');
    }
  });
});

describe('what it writes to', () => {
  test('that cannot be read any more fails its stream, though it knows nothing of it and exits with 0', async () => {
    const pids = join(await temporaryDirectory(), 'pids');
    onTestFinished(breakSockets(500_000));
    const text = `echo $$ > ${pids}; trap '' PIPE; seq 1 1000000 2>/dev/null; exit 0`;
    const { text: data, error } = await drain(childOutput(script(text)));
    expect(error).toMatchObject({ code: 'IO_FAILED', message: `program: ${SOCKET_ERROR}` });
    expect(data.startsWith('1\n2\n')).toBe(true);
    expect(isAlive(await pidFrom(pids))).toBe(false);
  });

  test.each([
    ['does not exist', async (directory: string) => join(directory, 'absent')],
    [
      'is a file',
      async (directory: string) => {
        await writeFile(join(directory, 'file'), '');
        return join(directory, 'file');
      },
    ],
    [
      'has a long name',
      async (directory: string) => {
        await mkdir(join(directory, 'x'.repeat(120)));
        return join(directory, 'x'.repeat(120));
      },
    ],
  ])('is a pipe where the directory for temporary files %s', async (_, make) => {
    vi.stubEnv('TMPDIR', await make(await temporaryDirectory()));
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(await OutputSocket.open()).toBeUndefined();
    const { text, error } = await drain(childOutput(script('seq 1 50000')));
    expect(error).toBeUndefined();
    expect(text).toBe(Array.from({ length: 50_000 }, (_line, index) => `${index + 1}\n`).join(''));
    const failed = await drain(childOutput(script('printf data; exit 3')));
    expect(failed).toMatchObject({ text: 'data', error: { code: 'TOOL_FAILED' } });
  });
});

test('the text of a long output has each of its lines, in their order', async () => {
  // More than what is under way at once, so that memory is used again.
  const expected = Array.from({ length: 300_000 }, (_, index) => `${index + 1}\n`).join('');
  expect((await outputText(script('seq 1 300000'))) === expected).toBe(true);
});
