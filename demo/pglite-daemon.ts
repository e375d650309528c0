/**
 * The daemon of cofre with the shop in an embedded database: `node demo/pglite-daemon.ts --config FILE`. The
 * jobs, the schedules and all the rest are composed as `cofre daemon` does it; only a source of the type
 * `postgres` becomes one that reads the PGlite of this process, whatever its `url` says.
 */
import { parseArgs } from 'node:util';
import { composeApp, type Overrides } from '../src/compose.ts';
import { composeDaemon } from '../src/compose-daemon.ts';
import { openSource } from '../src/compose-jobs.ts';
import { loadConfig } from '../src/config/load.ts';
import { toBackupError } from '../src/domain/errors.ts';
import { createLog } from '../src/lib/log.ts';
import { countRows, startPglite } from './pglite-shop.ts';
import { PgliteSource } from './pglite-source.ts';
import { SHOP_SQL } from './shop.ts';

const log = await createLog({ level: 'info', pretty: false });
const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stop.abort());

try {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  const { config } = await loadConfig({
    ...(values.config === undefined ? {} : { path: values.config }),
    env: process.env,
    cwd: process.cwd(),
  });
  const database = await startPglite();
  await database.exec(SHOP_SQL);
  log.info({ step: 'shop', rows: await countRows(database) }, 'the shop is in the embedded database');
  const overrides: Overrides = {
    openSource: (source, places) =>
      source.type === 'postgres' ? new PgliteSource(source.name, database) : openSource(source, places),
  };
  const app = await composeApp(config, log, { create: true }, overrides);
  await composeDaemon(app, log, overrides).run(stop.signal);
  await database.close();
} catch (error) {
  const { code, hint, message } = toBackupError(error);
  log.fatal({ step: 'stop', code, hint }, message);
  process.exitCode = 1;
}
