import type { OpenScratch, ScratchDatabase, ScratchWish } from '../domain/restore-ports.ts';
import { formatSize } from '../domain/size.ts';
import { spaceAt } from '../lib/mounts.ts';
import type { Session } from '../postgres/session.ts';
import { assertExtensions, makeRoles, makeTablespaces } from './needs.ts';
import { asNotProvable, notProvable, SPACE_HINT } from './not-provable.ts';
import { ScratchCluster } from './scratch-cluster.ts';
import { createScratchDatabase } from './scratch-database.ts';
import { makeScratchDirectory } from './scratch-directory.ts';
import { findServerPrograms } from './server-programs.ts';

const DATABASE = 'cofre_drill';
/** Of the raw archive: tables with their indexes. More where rows are narrow, which is then told by the restore. */
const SPACE_FACTOR = 1.5;
/** Of a cluster that holds nothing: 38 MB of catalogues and a segment of 16 MB of the write-ahead log. */
const EMPTY_CLUSTER_BYTES = 64 * 1024 * 1024;

export interface ClusterScratchOptions {
  /** Where its directory is made: `scratch.directory`. */
  parent: string;
  /** Where PostgreSQL's programs are; found when absent. */
  binDir?: string | undefined;
  /** What PATH is taken from. Default: that of this process. */
  env?: NodeJS.ProcessEnv;
}

/** Databases in clusters that are made for them, and gone with them. */
export function clusterScratch(options: ClusterScratchOptions): OpenScratch {
  return async (wish, signal) => {
    signal.throwIfAborted();
    try {
      return await open(options, wish, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw asNotProvable(error, 'the scratch cluster cannot be made', options.parent);
    }
  };
}

async function open(
  { parent, binDir, env = process.env }: ClusterScratchOptions,
  wish: ScratchWish,
  signal: AbortSignal,
): Promise<ScratchDatabase> {
  const programs = await findServerPrograms(wish.major, { binDir, env, signal });
  await assertSpace(parent, wish.raw_size);
  await using resources = new AsyncDisposableStack();
  const directory = resources.use(await makeScratchDirectory(parent, signal));
  const cluster = resources.use(await ScratchCluster.start({ programs, directory, signal }));
  const { database, missing } = await furnish(cluster, wish, signal);
  const all = resources.move();
  return {
    url: cluster.urlOf(DATABASE),
    server_version: cluster.version,
    ...(programs.clients === undefined ? {} : { binDir: programs.clients }),
    remarks: database.remarks,
    sameLocale: database.sameLocale,
    sameMoney: database.sameMoney,
    missingRoles: missing,
    lastWords: () => cluster.lastWords(),
    makeTablespaceDirectory: async () => await cluster.makeTablespaceDirectory(),
    [Symbol.asyncDispose]: async () => await all.disposeAsync(),
  };
}

async function furnish(cluster: ScratchCluster, { needs, locale }: ScratchWish, signal: AbortSignal) {
  await using session = await cluster.connect('postgres', signal);
  await assertExtensions(session, needs, cluster.major);
  const database = await createScratchDatabase(session, DATABASE, locale, cluster.major);
  await compressFast(session);
  await using inside = await cluster.connect(DATABASE, signal);
  const missing = await makeRoles(inside, needs);
  await makeTablespaces(inside, needs, async () => await cluster.makeTablespaceDirectory());
  return { database, missing };
}

/** Of a load of wide rows the server's own compression takes half of the time. Servers from 14 on may have LZ4. */
async function compressFast(session: Session): Promise<void> {
  const [known] = await session.query(
    "SELECT 1 FROM pg_catalog.pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)",
  );
  if (known !== undefined)
    await session.query(`ALTER DATABASE ${DATABASE} SET default_toast_compression = lz4`);
}

async function assertSpace(parent: string, raw_size: number): Promise<void> {
  const { free_bytes } = await spaceAt(parent);
  const needed_bytes = Math.ceil(raw_size * SPACE_FACTOR) + EMPTY_CLUSTER_BYTES;
  if (free_bytes >= needed_bytes) return;
  throw notProvable(
    `${formatSize(free_bytes)} are free in ${parent}, the drill needs about ${formatSize(needed_bytes)}`,
    SPACE_HINT,
  );
}
