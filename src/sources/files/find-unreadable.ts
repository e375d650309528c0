import { accessSync, constants } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BackupError } from '../../domain/errors.ts';
import type { Finding } from '../../domain/ports.ts';
import { compileExclude } from './exclude.ts';
import { identitiesOf } from './identity.ts';
import type { PackOptions } from './pack.ts';
import { displayName, type RawName, rawName } from './raw-name.ts';
import type { RemarkSink } from './remarks.ts';
import { codeOf, isGone, type WalkedFile, walkTree } from './walk.ts';

const MAX_FINDINGS = 1_000;
/** How long the walk may keep the thread before others get a turn. */
const SLICE_MS = 20;

/**
 * Walks directories as a capture would, without reading any file, and reports what it could not read:
 * errors, for a backup without them is incomplete; at most 1,000 by name and then one that counts the rest. A root that
 * is missing is passed over.
 */
export async function findUnreadable(
  { roots, exclude, leaveOut }: PackOptions,
  signal: AbortSignal,
): Promise<Finding[]> {
  signal.throwIfAborted();
  const filter = { exclude: compileExclude(exclude), leaveOut: identitiesOf(leaveOut) };
  const found: Finding[] = [];
  let beyond = 0;
  let sliceEnd = performance.now() + SLICE_MS;
  for (const root of roots) {
    const report = (member: RawName, reason: string) => {
      const below = member.slice(rawName(root.as).length);
      // The root itself is preflight's.
      if (below === '') return;
      if (found.length < MAX_FINDINGS) found.push(unreadable(root.path + displayName(below), reason));
      else beyond += 1;
    };
    const remarks: RemarkSink = { changed: () => undefined, incomplete: report };
    try {
      for (const entry of walkTree(root, filter, remarks)) {
        if (entry.isFile) checkFile(entry, remarks);
        if (performance.now() < sliceEnd) continue;
        await nextTurn();
        signal.throwIfAborted();
        sliceEnd = performance.now() + SLICE_MS;
      }
    } catch (error) {
      if (!(error instanceof BackupError)) throw error;
    }
  }
  if (beyond > 0) found.push(unreadable(roots.map(({ path }) => path).join(', '), `and ${beyond} more`));
  return found;
}

function checkFile(found: WalkedFile, remarks: RemarkSink): void {
  try {
    accessSync(found.path, constants.R_OK);
  } catch (error) {
    const code = codeOf(error);
    if (isGone(code)) return;
    // It may be a link to what cannot be read, which is none of our business.
    if (found.isSeen) remarks.incomplete(found.member, `unreadable: ${code}`);
    else found.isOther = true;
  }
}

function unreadable(path: string, message: string): Finding {
  return {
    severity: 'error',
    code: 'UNREADABLE',
    path,
    message,
    hint: 'Give the user that runs cofre permission to read it, or exclude it.',
  };
}
