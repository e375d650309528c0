import type { FileRemark } from '../../domain/manifest.ts';
import type { CaptureRemarks } from '../../domain/ports.ts';
import { displayName, type RawName } from './raw-name.ts';

/** How many remarks of one kind are kept by name; the rest is counted. */
const MAX_REMARKS = 10_000;

/** Where the walk reports what happened to single entries. */
export interface RemarkSink {
  changed(member: RawName, reason: string): void;
  incomplete(member: RawName, reason: string): void;
}

/** Collects remarks in constant memory: beyond 10,000 of a kind, one last remark says how many more. */
export class RemarkCollector implements RemarkSink {
  readonly #changed: FileRemark[] = [];
  readonly #incomplete: FileRemark[] = [];
  #changedBeyond = 0;
  #incompleteBeyond = 0;

  changed(member: RawName, reason: string): void {
    if (this.#changed.length < MAX_REMARKS) this.#changed.push({ path: displayName(member), reason });
    else this.#changedBeyond += 1;
  }

  incomplete(member: RawName, reason: string): void {
    if (this.#incomplete.length < MAX_REMARKS) this.#incomplete.push({ path: displayName(member), reason });
    else this.#incompleteBeyond += 1;
  }

  collected(): CaptureRemarks {
    return {
      changed: withCount(this.#changed, this.#changedBeyond),
      incomplete: withCount(this.#incomplete, this.#incompleteBeyond),
    };
  }
}

function withCount(remarks: FileRemark[], beyond: number): FileRemark[] {
  return beyond === 0 ? [...remarks] : [...remarks, { path: '...', reason: `and ${beyond} more` }];
}
