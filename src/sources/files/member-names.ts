import { BackupError } from '../../domain/errors.ts';
import type { PackRoot } from './walk.ts';

/** Throws CONFIG_INVALID when a member name is unusable or stands twice. */
export function assertMemberNames(roots: readonly PackRoot[]): void {
  const seen = new Map<string, string>();
  for (const { path, as } of roots) {
    if (!isMemberName(as)) {
      throw new BackupError('CONFIG_INVALID', `the directory ${path} has no usable member name: "${as}"`, {
        path,
        hint: 'Give it a name of one path component: {"path": …, "as": "name"}.',
      });
    }
    const other = seen.get(as);
    if (other !== undefined) {
      throw new BackupError(
        'CONFIG_INVALID',
        `the directories ${other} and ${path} have one member name: "${as}"`,
        {
          path,
          hint: 'Give one of them another name: {"path": …, "as": "name"}.',
        },
      );
    }
    seen.set(as, path);
  }
}

/** One path component, as file systems allow it. */
function isMemberName(as: string): boolean {
  return as !== '' && as !== '.' && as !== '..' && !/[/\0]/.test(as) && Buffer.byteLength(as) <= 255;
}
