import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

/** A page of the documentation, by its path below the root of the project. */
export interface Page {
  path: string;
  text: string;
}

/** Every page of the documentation. */
export function allPages(): Page[] {
  return globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT })
    .sort()
    .map((path) => ({ path, text: readPage(path) }));
}

export function readPage(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The text below a heading, up to the next one of the same level or above. Throws when there is none. */
export function section(text: string, heading: string): string {
  const level = /^#+/.exec(heading)?.[0].length ?? 0;
  const lines = text.split('\n');
  const start = lines.indexOf(heading);
  if (start === -1) throw new Error(`there is no heading ${JSON.stringify(heading)}`);
  const fenced = fencedLines(lines);
  const length = lines
    .slice(start + 1)
    .findIndex((line, at) => !fenced.has(start + 1 + at) && headingLevel(line) <= level);
  return lines.slice(start + 1, length === -1 ? undefined : start + 1 + length).join('\n');
}

/** The headings of a page, as they are written, without those inside of code. */
export function headings(text: string): string[] {
  const lines = text.split('\n');
  const fenced = fencedLines(lines);
  return lines.filter((line, at) => !fenced.has(at) && Number.isFinite(headingLevel(line)));
}

/** The cells of all tables in a text, without their headers. */
export function tableRows(text: string): string[][] {
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  const separators = new Set(lines.flatMap((line, at) => (/^\|(?:-+\|)+$/.test(line) ? [at - 1, at] : [])));
  return lines
    .filter((_, at) => !separators.has(at))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** What stands in backticks in a text. */
export function codeSpans(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '');
}

/** The code blocks of a language. */
export function codeBlocks(text: string, language: string): string[] {
  const blocks = text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm);
  return [...blocks].filter(([, found]) => found === language).map(([, , block]) => block ?? '');
}

/** The anchor that GitHub makes of a heading. */
export function anchorOf(heading: string): string {
  return heading
    .replace(/^#+ /, '')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function headingLevel(line: string): number {
  return /^(#{1,6}) /.exec(line)?.[1]?.length ?? Number.POSITIVE_INFINITY;
}

function fencedLines(lines: readonly string[]): Set<number> {
  const fenced = new Set<number>();
  let inside = false;
  for (const [at, line] of lines.entries()) {
    if (line.startsWith('```')) inside = !inside;
    if (inside || line.startsWith('```')) fenced.add(at);
  }
  return fenced;
}
