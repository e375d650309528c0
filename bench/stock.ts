/** Locations that look like those of a program that has made backups for a long time. */
import { appendFile, link, readFile, writeFile } from 'node:fs/promises';
import { formatArchiveName, formatTimestamp, parseArchiveName } from '../src/domain/archive-name.ts';
import type { JournalEntry } from '../src/domain/journal-entry.ts';
import type { Manifest } from '../src/domain/manifest.ts';
import { Location } from '../src/catalogue/location.ts';
import { formatManifest } from '../src/catalogue/manifest-file.ts';
import { makeSetup, type Setup, type SetupOptions } from './program.ts';
import { makeShop } from './shop-database.ts';
import type { Workbench } from './workbench.ts';

const HOUR_MS = 3_600_000;
/** Of the comparisons' database: what is backed up is next to nothing. */
const TINY_SCALE = 1e-5;
const TINY = 'tiny';

/** A job of a tiny database, at whose location nothing is. */
export async function makeTinySetup(
  bench: Workbench,
  name: string,
  options: Omit<SetupOptions, 'source'> = {},
): Promise<Setup> {
  const cluster = await bench.cluster();
  const found = await cluster.psql('postgres', `SELECT 1 FROM pg_database WHERE datname = '${TINY}'`);
  if (found === '') await makeShop(cluster, TINY, TINY_SCALE);
  const source = { type: 'postgres', name: TINY, url: cluster.urlOf(TINY) };
  return await makeSetup(bench.directory, name, { source, ...options });
}

/**
 * A setup with so many backups, one an hour until now: one that the program made, and the same again with
 * manifests and entries of the journal that differ in time and name. The archive is the same file each time.
 */
export async function makeStock(bench: Workbench, name: string, archives: number): Promise<Setup> {
  const setup = await makeTinySetup(bench, name);
  const { manifest } = await bench.program.backup(setup);
  const options = { requireMount: false, create: false, write: true };
  const location = await Location.open(setup.location, options);
  const entries = (await readFile(location.journal, 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JournalEntry)
    .filter((entry) => entry.event !== 'scheduled' && entry.run === manifest.run);
  const lines: string[] = [];
  for (let age = archives - 1; age > 0; age -= 1) {
    bench.signal.throwIfAborted();
    const earlier = shifted(manifest, age, location);
    await link(manifest.filepath, earlier.filepath);
    await writeFile(location.manifestPath(earlier.filename), formatManifest(earlier));
    const at = earlier.created_at;
    for (const entry of entries) {
      const archived = entry.event === 'ended' ? { archives: [earlier.filename] } : {};
      lines.push(JSON.stringify({ ...entry, at, run: earlier.run, ...archived }));
    }
  }
  // The order of the lines counts for nothing here but that a run ends after it started.
  await appendFile(location.journal, lines.map((line) => `${line}\n`).join(''));
  return setup;
}

/** The same backup some hours earlier. */
function shifted(manifest: Manifest, hours: number, location: Location): Manifest {
  const at = new Date(Date.parse(manifest.created_at) - hours * HOUR_MS);
  const timestamp = formatTimestamp(at);
  const name = parseArchiveName(manifest.filename);
  if (name === undefined) throw new Error(`${manifest.filename} is not the name of an archive`);
  const filename = formatArchiveName({ ...name, timestamp });
  return {
    ...manifest,
    filename,
    filepath: location.archivePath(manifest.type, filename),
    timestamp,
    created_at: at.toISOString(),
    started_at: at.toISOString(),
    run: `${timestamp}-000000`,
  };
}
