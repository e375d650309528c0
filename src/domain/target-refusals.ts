/**
 * What is not restored, or not where it was asked to be: asked before anything is read, and once more by the target
 * itself, which may have changed meanwhile.
 */
import { BackupError } from './errors.ts';
import { describeSome } from './plural.ts';
import { printable } from './printable.ts';
import type {
  DatabaseRestoreOptions,
  DatabaseTargetState,
  ExtractOptions,
  FilesTargetState,
  TreePlan,
} from './restore-ports.ts';

/** Throws TARGET_REFUSED for a database that is missing, or that holds something, unless that is what was asked for. */
export function refuseUnfitDatabase(
  { description, exists, occupants }: Pick<DatabaseTargetState, 'description' | 'exists' | 'occupants'>,
  { create, clean, schemas, tables }: Pick<DatabaseRestoreOptions, 'create' | 'clean' | 'schemas' | 'tables'>,
): void {
  const refuse = (message: string, hint: string): never => {
    throw new BackupError('TARGET_REFUSED', message, { path: description, hint });
  };
  if (!exists && !create) refuse(`there is no database ${description}`, 'Add `--create` to make it.');
  if (!exists || clean) return;
  if (create) {
    refuse(
      `the database ${description} exists`,
      'Leave `--create` out to restore into it while it is empty, or add `--clean` to put the archive in its place.',
    );
  }
  // What was chosen goes beside what is there.
  if (schemas.length > 0 || tables.length > 0) return;
  if (occupants.length > 0) {
    refuse(
      `the database ${description} is not empty: it holds ${describeSome(occupants)}`,
      'Restore into another database (`--create` makes one), or add `--clean` to put the archive in the place of what is there, once it is restored. Tables that are not there can be added with `--schema` and `--table`, in the custom and directory format.',
    );
  }
}

/** Throws TARGET_REFUSED for a directory that holds something, unless it is to be merged into. */
export function refuseOccupiedDirectory(
  { path, occupants }: Pick<FilesTargetState, 'path' | 'occupants'>,
  { overwrite }: Pick<ExtractOptions, 'overwrite'>,
): void {
  if (occupants.length === 0 || overwrite) return;
  throw new BackupError('TARGET_REFUSED', `${path} is not empty: it holds ${describeSome(occupants)}`, {
    path,
    hint: 'Name a directory that does not exist, or add `--overwrite` to merge: what has the name of an entry is replaced.',
  });
}

/**
 * Throws TARGET_REFUSED for directories that hold something where the archive has entries that are none.
 * @param kept some of `total`.
 */
export function refuseKeptDirectories(path: string, kept: readonly string[], total = kept.length): void {
  if (total === 0) return;
  throw new BackupError(
    'TARGET_REFUSED',
    `${path} has directories that hold something where the archive has none: ${describeSome(kept, total)}`,
    {
      path,
      hint: 'Nothing was touched. Move these away or remove them, or restore to another directory; `--path` restores other entries alone.',
    },
  );
}

/** Throws ARCHIVE_UNSAFE for an archive of files of which something that was chosen is not extracted. */
export function refuseUnsafe({ refused, refused_total }: TreePlan, filename?: string): void {
  if (refused_total === 0) return;
  const named = describeSome(
    refused.map(({ path, reason }) => printable(`${path}: ${reason}`)),
    refused_total,
  );
  const links = refused.some(({ kind }) => kind === 'outside')
    ? ' Links that lead out of the target are made as they are, and never followed, with `--outside-links`.'
    : '';
  throw new BackupError(
    'ARCHIVE_UNSAFE',
    `${filename ?? 'the archive'} holds what is not extracted: ${named}`,
    {
      path: filename,
      hint: `Nothing was touched. Restore what you want of it with \`--path\`, which leaves out the rest.${links}`,
    },
  );
}
