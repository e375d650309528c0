import type { Config } from './config/config.ts';
import { BackupError } from './domain/errors.ts';
import { makeScratchDirectory } from './scratch/scratch-directory.ts';
import { defaultScratchParent } from './scratch/scratch-parent.ts';
import type { Staging } from './sources/postgres/directory-dump.ts';

/** Dumps are staged where all that is thrown away lies, and swept with it. */
export function stagingOf({ directory }: Config['scratch']): Staging {
  const parent = async () => directory ?? (await defaultScratchParent());
  return {
    parent,
    make: async (signal) => {
      try {
        return await makeScratchDirectory(await parent(), signal);
      } catch (error) {
        if (!(error instanceof BackupError) || error.code !== 'NOT_PROVABLE') throw error;
        const { message, hint = '' } = error;
        throw new BackupError('IO_FAILED', message, { hint, cause: error });
      }
    },
  };
}
