const BUCKETS = 1024;

/** How many rows only one of two tables has, at least. */
export interface RowsApart {
  /** Of the first that the second lacks. */
  missing: number;
  /** Of the second that the first lacks. */
  extra: number;
}

/**
 * Counts rows by their digests, in 4 KiB whatever their number, to tell how many of them two tables do not share. It
 * is a bound: rows of one that fall into the same place as others of the other table go unnoticed, which a few
 * hardly do.
 */
export class RowCensus {
  #counts: Int32Array | undefined;

  /** @param digest of a row. */
  count(digest: Buffer): void {
    // Most of the many tables of some databases are empty.
    this.#counts ??= new Int32Array(BUCKETS);
    const bucket = digest.readUInt16BE(0) % BUCKETS;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }

  apartFrom(other: RowCensus): RowsApart {
    let missing = 0;
    let extra = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const difference = (this.#counts?.[bucket] ?? 0) - (other.#counts?.[bucket] ?? 0);
      if (difference > 0) missing += difference;
      else extra -= difference;
    }
    return { missing, extra };
  }
}
