import type { BigIntStats } from 'node:fs';
import { identityOf } from './identity.ts';
import type { RawName } from './raw-name.ts';

export interface FirstName {
  member: RawName;
  /** As it was archived: of a file that changes meanwhile, its other names must not say otherwise. */
  stat: BigIntStats;
}

/**
 * Which inodes with several names are in the archive already, and under which member. An inode is forgotten
 * once all its names were met, so memory is held per inode that still has a name to come.
 */
export class HardLinks {
  readonly #first = new Map<string, { first: FirstName; namesLeft: bigint }>();

  /** The member that holds the data of this inode, if one was archived. */
  meet(stat: BigIntStats): FirstName | undefined {
    if (stat.nlink <= 1n) return undefined;
    const key = identityOf(stat);
    const known = this.#first.get(key);
    if (known === undefined) return undefined;
    known.namesLeft -= 1n;
    if (known.namesLeft <= 0n) this.#first.delete(key);
    return known.first;
  }

  archived(stat: BigIntStats, member: RawName): void {
    if (stat.nlink > 1n)
      this.#first.set(identityOf(stat), { first: { member, stat }, namesLeft: stat.nlink - 1n });
  }
}
