import { type BigIntStats, statSync } from 'node:fs';

/** What a file is, whatever it is called: links, bind mounts and `..` give one more than one name. */
export function identityOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

/** Those of the paths that lead to something this user may look at. */
export function identitiesOf(paths: readonly string[]): ReadonlySet<string> {
  return new Set(paths.flatMap((path) => statOf(path) ?? []).map(identityOf));
}

function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true });
  } catch {
    // What cannot be reached has no identity to be met again.
    return undefined;
  }
}
