/**
 * Preloaded into the program (`node --import`): ends it with SIGKILL just before the N-th change it makes to
 * the disk, N from COFRE_TEST_KILL_AT. A write of more than one byte counts as two changes: before it, and
 * with the first half of it written. Where the process died is its last line on stderr. A process that makes
 * fewer changes runs to its end, which tells that every one was tried.
 */
import { writevSync, writeSync } from 'node:fs';
import fs, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { constants } from 'node:fs';

type Call = (...args: never[]) => unknown;
type Patchable = Record<string, Call>;

const at = Number(process.env['COFRE_TEST_KILL_AT']);
let step = 0;

/** Counts a change; dies when it is the one. */
function beforeChange(what: string, tear?: () => void): void {
  step += 1;
  if (step === at) die(`before ${what}`);
  if (tear === undefined) return;
  step += 1;
  if (step !== at) return;
  tear();
  die(`in the middle of ${what}`);
}

function die(where: string): void {
  writeSync(2, `killed at step ${at}, ${where}\n`);
  process.kill(process.pid, 'SIGKILL');
  // The signal may take effect a moment later, and nothing may change in that moment.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

function patch(target: Patchable, name: string, describe: (args: unknown[]) => string | undefined): void {
  const original = target[name];
  if (original === undefined) throw new Error(`node:fs/promises has no ${name}`);
  target[name] = function (this: unknown, ...args: never[]) {
    const what = describe(args);
    if (what !== undefined) beforeChange(what);
    return original.apply(this, args);
  };
}

function patchWrite(target: Patchable, name: string): void {
  const original = target[name];
  if (original === undefined) throw new Error(`a file handle has no ${name}`);
  target[name] = function (this: FileHandle, ...args: never[]) {
    const [payload] = args as unknown[];
    const bytes = Array.isArray(payload)
      ? Buffer.concat(payload as Buffer[])
      : Buffer.from(payload as string | Buffer);
    beforeChange(`${name} of ${bytes.length} bytes`, () => {
      writevSync(this.fd, [bytes.subarray(0, Math.floor(bytes.length / 2))]);
    });
    return original.apply(this, args);
  };
}

function isWriting(flags: unknown): boolean {
  if (typeof flags === 'number') return (flags & (constants.O_WRONLY | constants.O_RDWR)) !== 0;
  return typeof flags === 'string' && flags !== 'r';
}

const promises = fs as unknown as Patchable;
patch(promises, 'open', ([path, flags]) => (isWriting(flags) ? `open ${String(path)} (${String(flags)})` : undefined));
for (const name of ['rename', 'link', 'symlink', 'rm', 'unlink', 'rmdir', 'mkdir', 'writeFile', 'truncate']) {
  patch(promises, name, ([path]) => `${name} ${String(path)}`);
}
// The class of file handles is not exported: it is that of any of them.
const probe = await fs.open(process.execPath, 'r');
const handle = Object.getPrototypeOf(probe) as Patchable;
await probe.close();
for (const name of ['sync', 'datasync', 'truncate']) patch(handle, name, () => name);
for (const name of ['write', 'writev', 'writeFile', 'appendFile']) patchWrite(handle, name);
syncBuiltinESMExports();
