import { BackupError } from '../domain/errors.ts';
import { formatSize } from '../domain/size.ts';
import type { EngineContext } from './context.ts';

/** Asked for beside the size of the last archive: databases grow. */
const SPACE_FACTOR = 1.1;

/** Throws SPACE_LOW unless there is room for an archive of a source that is a little larger than its last. */
export async function assertSpace(context: EngineContext, source: string): Promise<void> {
  const last = context.catalogue.latest(source);
  if (last === undefined) return;
  const { free_bytes } = await context.location.space();
  const needed_bytes = Math.ceil(last.size * SPACE_FACTOR);
  if (free_bytes >= needed_bytes) return;
  throw new BackupError(
    'SPACE_LOW',
    `${formatSize(free_bytes)} are free at the location, the next archive needs about ${formatSize(needed_bytes)}`,
    {
      path: context.location.root,
      hint: 'Free space at the location, shorten the retention, or move the location to a larger disk.',
    },
  );
}
