import type {
  ArchiveDifference,
  DatabaseDifference,
  FilesDifference,
  TableDifference,
} from '../../domain/diff.ts';
import { plural } from '../../domain/plural.ts';
import { formatSize } from '../../domain/size.ts';
import { diffArchives } from '../../engine/diff.ts';
import type { Answer } from '../answer.ts';
import { openProgress } from '../progress.ts';
import { printable, tableLabel } from '../../domain/printable.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

/** Lines of each kind in the text for people; `--json` has all. */
const SHOWN_MAX = 1_000;

/** `cofre diff A B`: what of the second archive is not as in the first. A difference is no fault: status 0. */
export async function diff(session: Session, a: string, b: string): Promise<Answer> {
  const { context } = await session.open({ write: false });
  using progress = openProgress(!session.json);
  const difference = await diffArchives(context, { a, b }, progress, session.signal);
  return { status: 0, json: difference, text: session.json ? '' : describe(difference) };
}

function describe(difference: ArchiveDifference): string {
  return difference.type === 'database' ? describeTables(difference) : describePaths(difference);
}

function describeTables(difference: DatabaseDifference): string {
  const { identical, tables, unchanged, schema_changed, definitions } = difference;
  if (identical)
    return `identical: ${plural(unchanged, 'table')} with the same rows, and the same schema text`;
  const rows = Object.entries(tables).flatMap(([kind, list]) =>
    shown(
      list,
      (table) => [kind, ...cells(table)],
      (left) => [kind, `… and ${left} more`, '', ''],
    ),
  );
  const table = formatTable(['', 'TABLE', 'ROWS', 'SIZE'], rows);
  return [
    ...(rows.length === 0 ? [] : [table]),
    `${plural(unchanged, 'table')} unchanged`,
    ...(schema_changed || definitions === null ? describeDefinitions(difference) : ['all else is the same']),
  ].join('\n');
}

function describeDefinitions({ definitions, remark = '' }: DatabaseDifference): string[] {
  if (definitions === null) return [`whatever else is not the same could not be read: ${remark}`];
  const { added, gone, changed } = definitions;
  const rows = Object.entries({ added, gone, changed }).flatMap(([kind, keys]) =>
    shown(
      keys,
      (key) => [kind, printable(key)],
      (left) => [kind, `… and ${left} more`],
    ),
  );
  return rows.length > 0 ? [formatTable(['', 'ELSE'], rows)] : ['all else is the same, in another order'];
}

function cells(table: TableDifference): string[] {
  const { rows, bytes } = table;
  return [tableLabel(table), span(rows, String), span(bytes, formatSize)];
}

/** `2 -> 5`; one figure where there is but one, or both are the same. */
function span([before, after]: TableDifference['rows'], format: (value: number) => string): string {
  const [from, to] = [before, after].map((value) => (value === null ? '' : format(value)));
  if (from === '' || from === to) return to ?? '';
  return to === '' ? (from ?? '') : `${from} -> ${to}`;
}

function describePaths({ identical, paths: { added, removed, changed } }: FilesDifference): string {
  if (identical) return 'identical: the same entries with the same data';
  const more = (mark: string) => (left: number) => `${mark} … and ${left} more`;
  return [
    ...shown(removed, (path) => `- ${printable(path)}`, more('-')),
    ...shown(added, (path) => `+ ${printable(path)}`, more('+')),
    ...shown(changed, ({ path, changes }) => `~ ${printable(path)}  (${changes.join(', ')})`, more('~')),
    `${added.length} added, ${removed.length} removed, ${changed.length} changed`,
  ].join('\n');
}

/** The first ones, and one that counts the rest. */
function shown<T, R>(list: readonly T[], line: (item: T) => R, rest: (left: number) => R): R[] {
  const lines = list.slice(0, SHOWN_MAX).map((item) => line(item));
  return list.length > SHOWN_MAX ? [...lines, rest(list.length - SHOWN_MAX)] : lines;
}
