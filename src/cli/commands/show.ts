import { formatDuration } from '../../domain/duration.ts';
import { type Contents, isFilesContents, type Manifest } from '../../domain/manifest.ts';
import { formatSize } from '../../domain/size.ts';
import type { Answer } from '../answer.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

/** `cofre show FILENAME`: the whole manifest. */
export async function show(session: Session, filename: string): Promise<Answer> {
  const { context } = await session.open({ write: false });
  const manifest = await context.catalogue.read(filename);
  return { status: 0, json: manifest, text: describe(manifest) };
}

function describe(manifest: Manifest): string {
  const { verification } = manifest;
  const facts: [string, string | undefined][] = [
    ['file', manifest.filepath],
    [
      'size',
      `${manifest.size_human}, ${formatSize(manifest.raw_size)} before compression (${manifest.compression})`,
    ],
    ['sha256', manifest.hash],
    ['taken', `${manifest.created_at} by job ${manifest.job}, ${manifest.trigger} (${manifest.actor})`],
    ['duration', formatDuration(manifest.duration_ms)],
    ['server', manifest.server_version && `${manifest.database} on PostgreSQL ${manifest.server_version}`],
    ['tool', manifest.tool_version],
    ['roots', manifest.roots?.map(({ name, path }) => `${name} = ${path}`).join(', ')],
    [
      'verified',
      `${verification.ok ? 'ok' : 'FAULT'} at ${verification.at} (${verification.level}): ${verification.detail}`,
    ],
    ['pinned', manifest.pinned ? 'yes' : undefined],
  ];
  const known = facts.filter(([, value]) => value !== undefined && value !== '');
  return `${known.map(([name, value]) => `${name.padEnd(9)} ${value}`).join('\n')}\n${describeContents(manifest.contents)}`;
}

function describeContents(contents: Contents): string {
  if (isFilesContents(contents)) {
    const { entries, bytes, changed, incomplete } = contents;
    return [
      `contents  ${entries} entries, ${formatSize(bytes)} of data`,
      ...changed.map(({ path, reason }) => `changed   ${path}: ${reason}`),
      ...incomplete.map(({ path, reason }) => `MISSING   ${path}: ${reason}`),
    ].join('\n');
  }
  if (contents.tables.length === 0) return 'contents  no table data';
  const rows = contents.tables.map(({ schema, name, rows: count, bytes }) => [
    `${schema}.${name}`,
    String(count),
    formatSize(bytes),
  ]);
  return `\n${formatTable(['TABLE', 'ROWS', 'SIZE'], rows, ['ROWS', 'SIZE'])}`;
}
