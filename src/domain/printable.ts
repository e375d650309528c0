import type { TableContents } from './manifest.ts';

/**
 * A name from an archive or a server as it may go to a terminal or into a log: on one line, and without the
 * characters that steer it or turn its direction. PostgreSQL allows any character in a name but NUL, and a file
 * system any but NUL and `/`.
 */
export function printable(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** `public.orders` */
export function tableLabel({ schema, name }: Pick<TableContents, 'schema' | 'name'>): string {
  return printable(`${schema}.${name}`);
}
