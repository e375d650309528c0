import { CLUSTER_TEMPLATE, startCluster } from '../../tools/cluster.ts';
import { requirePostgresPrograms } from '../../tools/require-postgres-programs.ts';

/**
 * Vitest's global set-up of the tests of real PostgreSQL: they fail, in one message, rather than skip. It also makes
 * the cluster that the first one of each test file is copied from.
 */
export default async function setup(): Promise<() => Promise<void>> {
  await requirePostgresPrograms();
  const template = await startCluster();
  await template.stop();
  process.env[CLUSTER_TEMPLATE] = template.dataDir;
  return async () => {
    await template[Symbol.asyncDispose]();
  };
}
