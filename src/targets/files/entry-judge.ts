import { BackupError } from '../../domain/errors.ts';
import type { ExtractOptions, RefusedKind, TreePlan } from '../../domain/restore-ports.ts';
import type { TarEntry } from '../../formats/tar/tar-reader.ts';
import { linkReach } from './link-reach.ts';
import { MemberChoice } from './member-choice.ts';
import { memberPath } from './member-path.ts';
import { displayPath, parentOf, type RawPath } from './raw-path.ts';
import { Refusals } from './refusals.ts';
import { SeenPaths } from './seen-paths.ts';

/** What an entry makes; a hard link makes another of what it leads to. */
export type MadeKind = 'directory' | 'file' | 'symlink' | 'fifo' | 'device';

/** An entry that may be restored. */
export interface Judged {
  /** Below the top of the target; empty for the top itself. */
  path: RawPath;
  made: MadeKind;
  /** The path of the first member of a hard link, the target of a symbolic one; empty for the rest. */
  link: RawPath;
  /** One that is not chosen is told for the directories above those that are. */
  chosen: boolean;
}

/** Why an entry is refused, and what is remembered of a link. */
interface Verdict {
  fault?: string;
  /** Of the fault; `foreign` when absent. */
  kind?: RefusedKind;
  climb?: number;
  left?: RawPath[];
}

/** What is remembered of each path is a number: one of these, counted from 1, flags, and how far a link climbs. */
const KINDS: readonly MadeKind[] = ['directory', 'file', 'symlink', 'fifo', 'device'];
const KIND_MASK = 7;
const CHOSEN = 8;
const REFUSED = 16;
const CLIMB_SHIFT = 5;
/** Absolute, or not to be told from its words: a hard link to it may lead anywhere. */
const CLIMB_ANYWHERE = 0xffff;
/** Links that can be judged only once every other link is known; what exceeds this is refused. */
const MAX_UNDECIDED = 10_000;

/**
 * Decides entry by entry what an archive may do to the directory it is restored into, without looking at any
 * disk. Refused is what could touch something outside, cannot be what it says, or needs a device:
 *
 * - a path that is absolute, empty, has `..` or a NUL byte, or passes through an entry that is no directory;
 * - a hard link to anything but an earlier entry that is chosen and no directory;
 * - a symbolic link that leads out of the target, unless `outsideLinks`;
 * - a device; a second entry of a path that is of another kind than the first.
 */
export class EntryJudge {
  readonly refusals = new Refusals();
  readonly #seen = new SeenPaths();
  readonly #choice: MemberChoice;
  readonly #outsideLinks: boolean;
  readonly #undecided: { path: RawPath; left: RawPath[] }[] = [];
  /** The last one that was found to be directories all the way. */
  #parent: RawPath = '';
  #entries = 0;
  #bytes = 0;

  constructor({ paths, outsideLinks }: Pick<ExtractOptions, 'paths' | 'outsideLinks'>) {
    this.#choice = new MemberChoice(paths);
    this.#outsideLinks = outsideLinks;
  }

  /** Undefined for what is refused. */
  judge(entry: TarEntry): Judged | undefined {
    const raw = entry.path.toString('latin1');
    const { path, fault: pathFault } = memberPath(raw);
    const chosen = this.#choice.isChosen(path, entry.type === 'directory');
    const judged: Judged = { path, made: madeBy(entry), link: entry.link.toString('latin1'), chosen };
    const { fault, kind = 'foreign' }: Verdict =
      pathFault === undefined ? this.#judgePlace(entry, judged) : { fault: pathFault };
    if (fault !== undefined) {
      if (chosen) this.refusals.add(raw, fault, kind);
      return undefined;
    }
    if (chosen) {
      this.#entries += 1;
      this.#bytes += entry.size;
    }
    return judged;
  }

  /** What restoring would do, once every entry was judged. Throws USAGE when a glob matches nothing. */
  end(): TreePlan {
    const [glob] = this.#choice.unmatched();
    if (glob !== undefined) {
      throw new BackupError('USAGE', `nothing in the archive matches --path ${glob}`, {
        path: glob,
        hint: 'Globs are over the paths that `tar -tf` shows: `*.jpg` at any depth, `uploads/2024` with all below it.',
      });
    }
    for (const { path, left } of this.#undecided.splice(0)) {
      const through = this.#linkOnTheWay(left);
      if (through === undefined) continue;
      this.#entries -= 1;
      this.refusals.add(
        path,
        `a symbolic link through the link ${displayPath(through)} and up from there`,
        'outside',
      );
    }
    return { entries: this.#entries, bytes: this.#bytes, ...this.refusals.summary() };
  }

  #judgePlace(entry: TarEntry, judged: Judged): Verdict {
    const { path, chosen } = judged;
    if (path === '') return judged.made === 'directory' ? {} : { fault: 'the path of the target itself' };
    const obstacle = this.#enterParents(path);
    if (obstacle !== undefined)
      return { fault: `a path through ${displayPath(obstacle)}, which is no directory` };
    const verdict = this.#judgeKind(entry, judged);
    const known = this.#seen.get(path);
    // The first entry of a path decides what it is; what was made on the way to it may count on that.
    if (known !== undefined && kindOf(known) !== judged.made)
      return { fault: verdict.fault ?? 'a second entry of that path, of another kind' };
    const flags = (chosen ? CHOSEN : 0) | (verdict.fault === undefined ? 0 : REFUSED);
    const climb = verdict.climb ?? 0;
    this.#seen.set(path, (KINDS.indexOf(judged.made) + 1) | flags | (climb << CLIMB_SHIFT));
    if (verdict.fault === undefined && verdict.left !== undefined) {
      this.#undecided.push({ path, left: verdict.left });
    }
    return verdict;
  }

  /** The first of the parents that is no directory; those not met before are directories from now on. */
  #enterParents(path: RawPath): RawPath | undefined {
    const parent = parentOf(path);
    if (parent === this.#parent || parent === '') return undefined;
    for (let end = parent.indexOf('/'); ; end = parent.indexOf('/', end + 1)) {
      const ancestor = end === -1 ? parent : parent.slice(0, end);
      const known = this.#seen.get(ancestor);
      if (known === undefined) this.#seen.set(ancestor, KINDS.indexOf('directory') + 1);
      else if (kindOf(known) !== 'directory') return ancestor;
      if (end === -1) break;
    }
    this.#parent = parent;
    return undefined;
  }

  #judgeKind(entry: TarEntry, judged: Judged): Verdict {
    if (judged.made === 'device') return { fault: `a ${entry.type} device`, kind: 'device' };
    if (entry.type === 'link') return this.#judgeHardLink(judged);
    return entry.type === 'symlink' ? this.#judgeSymlink(judged) : {};
  }

  /** Makes `judged` another of what it leads to. */
  #judgeHardLink(judged: Judged): Verdict {
    const { path: first, fault } = memberPath(judged.link);
    const name = displayPath(judged.link);
    if (fault !== undefined) return { fault: `a hard link to ${name}: ${fault}` };
    if (first === judged.path) return { fault: 'a hard link to itself' };
    const known = this.#seen.get(first);
    const kind = known === undefined ? undefined : kindOf(known);
    if (known === undefined || kind === undefined || kind === 'directory')
      return { fault: `a hard link to ${name}, which is no earlier file of the archive` };
    judged.made = kind;
    judged.link = first;
    if ((known & REFUSED) !== 0) {
      const fault = `a hard link to ${name}, which is refused`;
      // Of the rest that is refused only links that lead out have further names in a backup.
      return { fault, kind: kind === 'device' ? 'device' : kind === 'symlink' ? 'outside' : 'foreign' };
    }
    if (judged.chosen && (known & CHOSEN) === 0)
      return { fault: `a hard link to ${name}, which is not chosen: add it with --path`, kind: 'unchosen' };
    const climb = known >>> CLIMB_SHIFT;
    if (kind !== 'symlink' || this.#outsideLinks || climb <= depthOf(judged.path)) return { climb };
    return {
      fault: `a hard link to ${name}, a symbolic link that leads out of the target from here`,
      kind: 'outside',
    };
  }

  #judgeSymlink({ path, link, chosen }: Judged): Verdict {
    if (link === '' || link.includes('\0')) return { fault: 'a symbolic link to nothing' };
    const { climb, left } = linkReach(link, parentOf(path));
    if (this.#outsideLinks) return { climb: CLIMB_ANYWHERE };
    const cannotBeDecided = left.length > 0 && this.#undecided.length >= MAX_UNDECIDED;
    if (climb > depthOf(path) || cannotBeDecided) {
      return { fault: `a symbolic link out of the target, to ${displayPath(link)}`, kind: 'outside' };
    }
    if (left.length === 0) return { climb };
    return chosen ? { climb: CLIMB_ANYWHERE, left } : { climb: CLIMB_ANYWHERE };
  }

  #linkOnTheWay(left: readonly RawPath[]): RawPath | undefined {
    for (const end of left) {
      for (let path = end; path !== ''; path = parentOf(path)) {
        const known = this.#seen.get(path);
        if (known !== undefined && kindOf(known) === 'symlink') return path;
      }
    }
    return undefined;
  }
}

function kindOf(value: number): MadeKind | undefined {
  return KINDS[(value & KIND_MASK) - 1];
}

/** Of a hard link this is not known before what it leads to is. */
function madeBy({ type }: TarEntry): MadeKind {
  if (type === 'character' || type === 'block') return 'device';
  return type === 'link' ? 'file' : type;
}

/** How many directories lie between an entry and the top. */
function depthOf(path: RawPath): number {
  let depth = 0;
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) depth += 1;
  return depth;
}
