import { isOnPath } from '../../tools/server-programs.ts';

/**
 * Throws, naming what to type, when a program is not on PATH: a test that needs it fails rather than passing
 * without having tested anything.
 */
export function requireProgram(name: string, debianPackage: string): void {
  if (isOnPath(name)) return;
  throw new Error(
    `${name} is not installed, and this test needs it. Type: sudo apt-get install -y --no-install-recommends ${debianPackage}`,
  );
}
