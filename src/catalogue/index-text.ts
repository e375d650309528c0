import type { ManifestSummary } from '../domain/manifest.ts';
import { byAge } from './by-age.ts';

const LAST_ENTRY = '\n {\n';
const END = '\n]\n';

/** The text of the published index. */
export function formatIndex(manifests: readonly ManifestSummary[]): string {
  return `${JSON.stringify(manifests, undefined, 1)}\n`;
}

/** What takes the place of the last bytes of an index, when more comes behind all that is in it. */
export interface IndexEnd {
  replaced_bytes: number;
  text: string;
}

/**
 * @param tail the end of the text of an index, with its last entry. @param more oldest first.
 * @returns undefined where this is not the end of an index, or not all of these come behind it.
 */
export function extendedEnd(tail: Buffer, more: readonly ManifestSummary[]): IndexEnd | undefined {
  const last = lastOf(tail);
  const [first] = more;
  if (last === undefined || first === undefined || byAge(last, first) >= 0) return undefined;
  const entries = more.map((manifest) => JSON.stringify(manifest, undefined, 1).replaceAll('\n', '\n '));
  return { replaced_bytes: END.length, text: `,\n ${entries.join(',\n ')}${END}` };
}

function lastOf(tail: Buffer): ManifestSummary | undefined {
  const start = tail.lastIndexOf(LAST_ENTRY);
  if (start === -1 || !tail.subarray(-END.length).equals(Buffer.from(END))) return undefined;
  try {
    return JSON.parse(tail.toString('utf8', start, tail.length - END.length)) as ManifestSummary;
  } catch {
    return undefined;
  }
}
