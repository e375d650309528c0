/**
 * Preloaded into the program (`node --import`): a disk that is full once COFRE_TEST_DISK_BYTES were written
 * to files opened for writing, for machines on which no small file system can be mounted.
 */
import fs, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

type Write = (...args: unknown[]) => Promise<unknown>;

let left_bytes = Number(process.env['COFRE_TEST_DISK_BYTES']);

/** What does not fit takes nothing: its file is removed by whoever wrote it. */
function take(bytes: number): void {
  if (bytes > left_bytes) {
    const message = 'ENOSPC: no space left on device, write';
    throw Object.assign(new Error(message), { code: 'ENOSPC', syscall: 'write' });
  }
  left_bytes -= bytes;
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
    const { bsize, blocks } = await statfs(path);
    return { bsize, blocks, bavail: Math.floor(left_bytes / bsize) };
  },
});
syncBuiltinESMExports();
