import { chmod, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildProgram } from '../../tools/build.ts';

/**
 * Vitest's global set-up: what the tests start is the bundle that people install, made from the sources as they are
 * now. It also starts faster than the sources, and the tests start it hundreds of times.
 */
export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (process.env['COFRE_TEST_MAIN'] !== undefined) return undefined;
  const home = await mkdtemp(join(tmpdir(), 'cofre-test-program-'));
  // Tests start it as another user, too.
  await chmod(home, 0o755);
  await buildProgram(join(home, 'dist'));
  await cp(join(import.meta.dirname, '../../package.json'), join(home, 'package.json'));
  process.env['COFRE_TEST_MAIN'] = join(home, 'dist/main.js');
  return async () => {
    await rm(home, { recursive: true, force: true });
  };
}
