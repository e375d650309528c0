import type { RawPath } from './raw-path.ts';

export interface MemberPath {
  /** Without `.` and empty components: below the top of the target. Empty: the top itself. */
  path: RawPath;
  /** Why it has no place below the top; undefined: it has. */
  fault: string | undefined;
}

/** An empty component, `.` or `..`: paths without one, which is nearly all, are taken as they are. */
const ODD_COMPONENT = /(?:^|\/)\.{0,2}(?:\/|$)/;

/** The place of a member, or of what a hard link names, below the top of the target. */
export function memberPath(raw: RawPath): MemberPath {
  if (raw.includes('\0')) return { path: raw, fault: 'a NUL byte in the path' };
  if (!ODD_COMPONENT.test(raw)) return { path: raw, fault: undefined };
  if (raw === '') return { path: raw, fault: 'an empty path' };
  const components = raw.split('/').filter((component) => component !== '' && component !== '.');
  const path = components.join('/');
  if (raw.startsWith('/')) return { path, fault: 'an absolute path' };
  if (components.includes('..')) return { path, fault: 'a path with `..`' };
  return { path, fault: undefined };
}
