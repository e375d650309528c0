import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { parseArchiveName } from '../domain/archive-name.ts';
import { BackupError } from '../domain/errors.ts';
import type { Manifest } from '../domain/manifest.ts';
import { judgeManifest } from './manifest-schema.ts';
import { isManifest } from './manifest-shape.ts';

/** Behind the filename of the archive. */
export const MANIFEST_SUFFIX = '.json';

/** The JSON text of a manifest file. */
export function formatManifest(manifest: Manifest): string {
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/**
 * A manifest from the text of `<filename>.json` in the location `root`, an absolute path. Its `filepath` is derived,
 * never trusted. Throws MANIFEST_CORRUPT when the text is no manifest, or that of another archive.
 */
export function parseManifest(text: string, filename: string, root: string): Manifest {
  const name = parseArchiveName(filename);
  const json = parseJson(text);
  if (json === undefined) throw corrupt(filename, 'it is not JSON');
  const manifest = asManifest(json, filename);
  if (manifest.filename !== filename || name === undefined) {
    throw corrupt(filename, `it names the archive ${JSON.stringify(manifest.filename)}`);
  }
  if (
    manifest.source !== name.source ||
    manifest.type !== name.type ||
    manifest.timestamp !== name.timestamp
  ) {
    throw corrupt(filename, 'its source, type or timestamp is not that of its filename');
  }
  return { ...manifest, filepath: `${root === '/' ? '' : root}/${name.type}/${filename}` };
}

function asManifest(json: unknown, filename: string): Manifest {
  if (isManifest(json)) return json;
  const judged = judgeManifest(json);
  if (!judged.ok) throw corrupt(filename, judged.fault);
  return judged.manifest;
}

export async function readManifest(path: string, filename: string, root: string): Promise<Manifest> {
  return parseManifest(await readFile(path, 'utf8'), filename, root);
}

/** For loading thousands at once, where a promise for each costs more than the read. */
export function readManifestSync(path: string, filename: string, root: string): Manifest {
  return parseManifest(readFileSync(path, 'utf8'), filename, root);
}

/** Undefined, which no JSON text means, when it is none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function corrupt(filename: string, why: string): BackupError {
  return new BackupError('MANIFEST_CORRUPT', `the manifest of ${filename} cannot be read: ${why}`, {
    path: filename,
    hint: 'The archive itself is untouched and restores by hand. Repair the manifest from a copy, or move it away.',
  });
}
