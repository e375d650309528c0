import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { composeApp } from '../src/compose.ts';
import { composeDaemon } from '../src/compose-daemon.ts';
import type { Config } from '../src/config/config.ts';
import { loadConfig } from '../src/config/load.ts';
import { temporaryDirectory } from './support/temp-directory.ts';

/** A configuration with one job of this name. */
async function configWith(job: string, directory: string): Promise<Config> {
  const path = join(directory, `${job}.json`);
  const sources = [{ type: 'files', name: 'tree', directories: ['./tree'] }];
  const jobs = { [job]: { schedule: '0 0 29 2 *', sources } };
  await writeFile(path, JSON.stringify({ location: './location', http: { port: 0 }, jobs }));
  return (await loadConfig({ path, env: {}, cwd: directory })).config;
}

test('of two reloads at once the later one stays, however long the first takes to load', async () => {
  const directory = await temporaryDirectory();
  await mkdir(join(directory, 'tree'));
  const [first, older, newer] = await Promise.all(
    ['first', 'older', 'newer'].map((job) => configWith(job, directory)),
  );
  if (first === undefined || older === undefined || newer === undefined) throw new Error('no config');
  const log: { msg: string; jobs?: string[] }[] = [];
  const destination = { write: (line: string) => log.push(JSON.parse(line) as { msg: string }) };
  const app = await composeApp(first, pino({ level: 'info' }, destination), { create: true });
  const daemon = composeDaemon(app, pino({ level: 'info' }, destination));
  const { promise: slow, resolve } = Promise.withResolvers<Config>();
  const reloads = [daemon.reload(() => slow), daemon.reload(async () => newer)];
  resolve(older);
  await Promise.all(reloads);
  expect(log.flatMap(({ jobs }) => jobs ?? [])).toEqual(['older', 'newer']);
});

test('a reload that does not load leaves the old configuration and is counted', async () => {
  const directory = await temporaryDirectory();
  const config = await configWith('only', directory);
  const app = await composeApp(config, pino({ level: 'silent' }), { create: true });
  const daemon = composeDaemon(app, pino({ level: 'silent' }));
  await daemon.reload(async () => {
    throw new Error('no such file');
  });
  const text = await app.metrics.registry.metrics();
  expect(text).toContain('cofre_config_last_reload_successful 0');
  expect(text).toContain('cofre_errors_total{step="reload"} 1');
});

test('a reload with a connection URI that is malformed leaves the old jobs and does not show it', async () => {
  const directory = await temporaryDirectory();
  const config = await configWith('only', directory);
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(line) });
  const app = await composeApp(config, log, { create: true });
  const daemon = composeDaemon(app, log);
  const path = join(directory, 'malformed.json');
  const sources = [{ type: 'postgres', name: 'shop', url: 'postgresql://u:%ZZs3cret@h/d' }];
  const jobs = { shop: { schedule: '0 0 29 2 *', sources } };
  await writeFile(path, JSON.stringify({ location: './location', http: { port: 0 }, jobs }));
  await daemon.reload(async () => (await loadConfig({ path, env: {}, cwd: directory })).config);
  expect(await app.metrics.registry.metrics()).toContain('cofre_config_last_reload_successful 0');
  expect(lines.join('')).toContain('source shop: the connection URI is malformed');
  expect(lines.join('')).not.toContain('s3cret');
});

test('a reload also changes where pg_restore is looked for', async () => {
  const directory = await temporaryDirectory();
  const withBinDir = async (binDir: string) => {
    const path = join(directory, 'config.json');
    const source = {
      type: 'postgres',
      name: 'db',
      url: 'postgresql://localhost/db',
      format: 'custom',
      binDir,
    };
    const jobs = { db: { schedule: '0 0 29 2 *', sources: [source] } };
    await writeFile(path, JSON.stringify({ location: './location', http: { port: 0 }, jobs }));
    return (await loadConfig({ path, env: {}, cwd: directory })).config;
  };
  const app = await composeApp(await withBinDir('./old'), pino({ level: 'silent' }), { create: true });
  const archive = { format: 'custom', source: 'db', tool_version: '15.1' } as const;
  const open = () => app.inspectors.open(archive, new AbortController().signal);
  await expect(open()).rejects.toThrow(join(directory, 'old'));
  const newer = await withBinDir('./new');
  await composeDaemon(app, pino({ level: 'silent' })).reload(async () => newer);
  await expect(open()).rejects.toThrow(join(directory, 'new'));
});
