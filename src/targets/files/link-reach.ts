import type { RawPath } from './raw-path.ts';

/** Where a symbolic link leads, by its words alone. */
export interface LinkReach {
  /** How many directories above its own it gets; Infinity for an absolute one. */
  climb: number;
  /**
   * The paths, from the top, that it leaves by a `..` after having entered them by name. Where one of them is
   * itself a symbolic link, the words do not say where the `..` leads.
   */
  left: RawPath[];
}

/** @param directory of the link, from the top; empty for the top. */
export function linkReach(target: RawPath, directory: RawPath): LinkReach {
  if (target.startsWith('/')) return { climb: Infinity, left: [] };
  const at = directory === '' ? [] : directory.split('/');
  const left: RawPath[] = [];
  let depth = 0;
  let climb = 0;
  let entered = false;
  for (const component of target.split('/')) {
    if (component === '' || component === '.') continue;
    if (component === '..') {
      if (entered && at.length > 0) left.push(at.join('/'));
      at.pop();
      depth -= 1;
      climb = Math.max(climb, -depth);
    } else {
      at.push(component);
      depth += 1;
      entered = true;
    }
  }
  return { climb, left };
}
