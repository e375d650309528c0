import { isUtf8 } from 'node:buffer';

/** Bytes that are meant to be text, such as a path, for people: every byte that is not UTF-8 is shown as `\xNN`. */
export function displayBytes(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  let shown = '';
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at] ?? 0;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const character = bytes.subarray(at, at + length);
    if (character.length === length && isUtf8(character)) {
      shown += character.toString('utf8');
      at += length;
    } else {
      shown += `\\x${lead.toString(16).padStart(2, '0')}`;
      at += 1;
    }
  }
  return shown;
}
