import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import { type App, composeApp } from '../../src/compose.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { JournalEntry } from '../../src/domain/journal-entry.ts';
import { takeInventory } from '../../src/engine/inventory.ts';
import { recover } from '../../src/engine/recover.ts';
import { verifyArchive } from '../../src/engine/verify.ts';
import { createLog } from '../../src/lib/log.ts';
import type { Workspace } from './workspace.ts';

const forever = new AbortController().signal;

/** The program on a workspace's location, in this process. */
export async function openApp(workspace: Workspace): Promise<App> {
  const env = { ...process.env, ...workspace.env };
  const { config } = await loadConfig({ path: workspace.config, env, cwd: workspace.dir });
  return await composeApp(config, await createLog({ level: 'silent', pretty: false }), { create: true });
}

/**
 * Asserts what must hold at any moment, a crash included: each backup that is listed verifies, and no manifest
 * is torn.
 */
export async function expectListedVerify(app: App): Promise<void> {
  const { catalogue } = app.context;
  expect(catalogue.faults()).toEqual([]);
  for (const { filename } of catalogue.list()) {
    const scope = { job: '@verify', run: '', actor: 'test' };
    const { valid, detail } = await verifyArchive(app.context, filename, 'contents', scope, forever);
    expect({ filename, valid, detail }).toMatchObject({ valid: true });
  }
}

/** Starts as the daemon does after a crash, and asserts that everything is in order then, without help. */
export async function expectOrderAfterStart(workspace: Workspace, app: App): Promise<void> {
  await recover(app.context, forever);
  expect(workspace.remains()).toEqual([]);
  expect(openRuns(workspace.journal())).toEqual([]);
  const listed = new Set(app.context.catalogue.list().map(({ filename }) => filename));
  const inventory = await takeInventory(app.context);
  // An archive that got its name and no manifest is whole, no backup, and reported: nothing else may be odd.
  expect(inventory.filter(({ kind }) => kind !== 'orphan')).toEqual([]);
  const orphans = new Set(inventory.map(({ filename }) => filename));
  for (const path of workspace.stored().filter((stored) => /^(database|files)\//.test(stored))) {
    const filename = basename(path);
    expect(listed.has(filename) !== orphans.has(filename), `${path} is a backup or an orphan`).toBe(true);
  }
  await expectListedVerify(app);
  await app.index.publish(forever);
  const index = JSON.parse(
    readFileSync(join(workspace.location, 'backups_metadata.json'), 'utf8'),
  ) as unknown;
  expect(index).toEqual(JSON.parse(JSON.stringify(app.context.catalogue.list())));
}

/** Ids of the runs that have a start in the journal and no end. */
export function openRuns(entries: readonly JournalEntry[]): string[] {
  const open = new Set<string>();
  for (const entry of entries) {
    if (entry.event === 'started') open.add(entry.run);
    if (entry.event === 'ended') open.delete(entry.run);
  }
  return [...open];
}
