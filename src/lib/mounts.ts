import { readFile, realpath, statfs } from 'node:fs/promises';

/** Whether a file system is mounted exactly at this path; bind mounts count. Linux only. */
export async function isMountPoint(path: string): Promise<boolean> {
  const target = await realpath(path);
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  // Field 5 of each line is the mount point; blanks and backslashes in it are octal escapes: proc(5).
  return table.split('\n').some((line) => unescapeOctal(line.split(' ')[4] ?? '') === target);
}

export interface Space {
  free_bytes: number;
  total_bytes: number;
}

/** Space for unprivileged users on the file system that holds the path. */
export async function spaceAt(path: string): Promise<Space> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { free_bytes: bavail * bsize, total_bytes: blocks * bsize };
}

function unescapeOctal(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCodePoint(Number.parseInt(digits, 8)),
  );
}
