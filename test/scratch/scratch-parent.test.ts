import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { defaultScratchParent } from '../../src/scratch/scratch-parent.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

test('is the directory for temporary files where others get through to it', async () => {
  const home = await temporaryDirectory();
  const parent = join(home, 'a', 'tmp');
  await mkdir(parent, { recursive: true, mode: 0o755 });
  await chmod(home, 0o711);
  expect(await defaultScratchParent(parent, true)).toBe(parent);
  await chmod(join(home, 'a'), 0o700);
  expect(await defaultScratchParent(parent, true)).toBe('/tmp');
  expect(await defaultScratchParent(join(home, 'missing'), true)).toBe('/tmp');
});

test('is that directory, whoever gets through, where the server runs as the same user', async () => {
  const home = await temporaryDirectory();
  await chmod(home, 0o700);
  expect(await defaultScratchParent(home, false)).toBe(home);
});
