/**
 * Preloaded into the program (`node --import`): a disk that is full once COFRE_TEST_DISK_BYTES were written
 * to files opened for writing, for machines on which no small file system can be mounted.
 */
import fs, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

type Write = (...args: unknown[]) => Promise<unknown>;

let left_bytes = Number(process.env['COFRE_TEST_DISK_BYTES']);

function take(bytes: number): void {
  left_bytes -= bytes;
  if (left_bytes >= 0) return;
  left_bytes = 0;
  throw Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
    syscall: 'write',
  });
}

const probe = await fs.open(process.execPath, 'r');
const handle = Object.getPrototypeOf(probe) as Record<string, Write>;
await probe.close();
for (const name of ['write', 'writev', 'writeFile']) {
  const original = handle[name];
  if (original === undefined) throw new Error(`a file handle has no ${name}`);
  handle[name] = async function (this: FileHandle, ...args: unknown[]) {
    const [payload] = args;
    take(Buffer.concat([payload].flat().map((part) => Buffer.from(part as string | Buffer))).length);
    return await original.apply(this, args);
  };
}
const { statfs } = fs;
Object.assign(fs, {
  statfs: async (path: string) => {
    const found = await statfs(path);
    return { ...found, bavail: Math.floor(left_bytes / found.bsize) };
  },
});
syncBuiltinESMExports();
