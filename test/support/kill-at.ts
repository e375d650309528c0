/**
 * Preloaded into the program (`node --import`): ends it with SIGKILL at one of the changes it makes to the
 * disk. COFRE_TEST_KILL_AT is the number of the change, or a regular expression for its description. Each
 * write counts as two: before it, and with the first half of it written. The last line on stderr tells where
 * the process died; one that makes fewer changes than the number runs to its end.
 */
import { constants, writeSync } from 'node:fs';
import fs, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

type Call = (...args: never[]) => unknown;
type Patchable = Record<string, Call>;

const at = process.env['COFRE_TEST_KILL_AT'] ?? '';
const pattern = /^\d+$/.test(at) ? undefined : new RegExp(at);
let step = 0;

/** Counts a change; dies when it is the one. */
function beforeChange(what: string, tear?: () => void): void {
  if (isTheOne(`before ${what}`)) die(`before ${what}`);
  if (tear === undefined || !isTheOne(`in the middle of ${what}`)) return;
  tear();
  die(`in the middle of ${what}`);
}

function isTheOne(description: string): boolean {
  step += 1;
  return pattern === undefined ? step === Number(at) : pattern.test(description);
}

function die(where: string): void {
  writeSync(2, `killed at step ${step}, ${where}\n`);
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
    // What comes piece by piece is torn at its beginning.
    if (typeof payload === 'object' && payload !== null && Symbol.asyncIterator in payload) {
      beforeChange(`${name} piece by piece`);
      return original.apply(this, args);
    }
    const bytes = bytesOf(name, args);
    beforeChange(`${name} of ${bytes.length} bytes`, () => {
      writeSync(this.fd, bytes.subarray(0, Math.floor(bytes.length / 2)));
    });
    return original.apply(this, args);
  };
}

/** What a call writes: of `write` the part of the buffer that it names. */
function bytesOf(name: string, [payload, offset, length]: unknown[]): Buffer {
  if (Array.isArray(payload)) return Buffer.concat(payload as Buffer[]);
  const bytes = Buffer.from(payload as string | Buffer);
  if (name !== 'write' || typeof offset !== 'number') return bytes;
  return bytes.subarray(offset, typeof length === 'number' ? offset + length : undefined);
}

function isWriting(flags: unknown): boolean {
  if (typeof flags === 'number') return (flags & (constants.O_WRONLY | constants.O_RDWR)) !== 0;
  return typeof flags === 'string' && flags !== 'r';
}

const promises = fs as unknown as Patchable;
patch(promises, 'open', ([path, flags]) =>
  isWriting(flags) ? `open ${String(path)} (${String(flags)})` : undefined,
);
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
