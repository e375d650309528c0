import { lstat } from 'node:fs/promises';

/** Whether something bears this name, also a link that leads nowhere. What keeps from looking is no answer: it throws. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
