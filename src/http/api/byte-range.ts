import type { IncomingHttpHeaders } from 'node:http';
import type { ByteRange } from '../../domain/ports.ts';

/** What of an object is asked for: a part of it, all of it, or nothing that it has. */
export type Requested = ByteRange | 'all' | 'none';

/**
 * The one range of a request (RFC 9110, 14). Several ranges, other units and what is no range at all are answered
 * with the whole, as the RFC allows; so is a part of what has changed since (`If-Range`).
 * @param etag strong, with its quotes.
 */
export function requestedRange(headers: IncomingHttpHeaders, etag: string, size: number): Requested {
  const match = /^bytes=(?<first>\d*)-(?<last>\d*)$/.exec(headers.range ?? '')?.groups;
  const { first = '', last = '' } = match ?? {};
  if (match === undefined || (first === '' && last === '')) return 'all';
  const condition = headers['if-range'];
  if (condition !== undefined && condition !== etag) return 'all';
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'none' : { first: size - length, last: size - 1 };
  }
  const from = Number(first);
  const to = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  // `bytes=5-3` is no range, and not one that cannot be had.
  if (last !== '' && Number(last) < from) return 'all';
  return from >= size ? 'none' : { first: from, last: to };
}

/** Whether an `If-None-Match` says that the client has it already. */
export function isKnown(headers: IncomingHttpHeaders, etag: string): boolean {
  const known = headers['if-none-match'];
  if (known === undefined) return false;
  return known.split(',').some((tag) => ['*', etag].includes(tag.trim().replace(/^W\//, '')));
}
