import { Refusal } from '../problem.ts';

/** Where a page ended, as an opaque text. */
export function encodeCursor(place: string): string {
  return Buffer.from(place).toString('base64url');
}

/** Throws USAGE for what no answer has given. @param shape of the place. */
export function decodeCursor(cursor: string, shape: RegExp): string {
  const place = Buffer.from(cursor, 'base64url').toString();
  if (shape.test(place) && encodeCursor(place) === cursor) return place;
  throw new Refusal('USAGE', 'the cursor is none that an answer has given', {
    hint: 'Take `next_cursor` of the answer before, or leave it out to begin anew.',
  });
}
