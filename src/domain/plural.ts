/** How many of a list are named; the rest is counted. */
const NAMED = 20;

/** `1 table`, `2 tables`, `3 entries`: for nouns whose plural is regular. */
export function plural(count: number, noun: string): string {
  if (count === 1) return `${count} ${noun}`;
  return `${count} ${noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`}`;
}

/**
 * A list of any length as one text for people: `a; b; and 3 more`.
 * @param total where not all are in the list.
 */
export function describeSome(items: readonly string[], total = items.length): string {
  const named = items.slice(0, NAMED);
  const beyond = total - named.length;
  return beyond > 0 ? [...named, `and ${beyond} more`].join('; ') : named.join('; ');
}
