/**
 * What `npm run build` runs: makes `dist/` from `src/` and the packages it uses. docs/decisions/0021 says why it is a
 * bundle, and why it has the form it has.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type OutputChunk, type Plugin, rolldown } from 'rolldown';
import { licencesOf } from './licences.ts';

const ROOT = join(import.meta.dirname, '..');

const NOTHING = '\0nothing';
/**
 * What packages ask for as soon as they are loaded, by whom, and never use here. commander wants child processes for subcommands
 * that are programs of their own, of which there are none: loading them takes Node longer than loading commander.
 * prom-client wants the spans of a tracer for exemplars, which nothing here has.
 */
const NEVER_USED_IMPORTS: ReadonlyMap<string, string> = new Map([
  ['node:child_process', 'commander'],
  ['@opentelemetry/api', 'prom-client'],
]);
const emptyNeverUsedImports: Plugin = {
  name: 'empty-never-used-imports',
  resolveId: (id, importer = '') => {
    const asking = NEVER_USED_IMPORTS.get(id);
    return asking !== undefined && importer.includes(`/node_modules/${asking}/`) ? NOTHING : undefined;
  },
  load: (id) => (id === NOTHING ? 'module.exports = {};' : undefined),
};

/** Bundles the program into the directory, which is emptied first. Returns the chunks that it consists of. */
export async function buildProgram(directory: string): Promise<OutputChunk[]> {
  await using bundle = await rolldown({
    cwd: ROOT,
    platform: 'node',
    plugins: [emptyNeverUsedImports],
    input: {
      main: 'src/main.ts',
      // Started by path, from beside whichever chunk starts it.
      'pack-worker': 'src/sources/files/pack-worker.ts',
    },
    // What a bundler warns of becomes a fault when the program runs.
    onLog: (level, { message }) => {
      if (level === 'warn') throw new Error(message);
    },
  });
  const { output } = await bundle.write({
    dir: directory,
    cleanDir: true,
    // Loads faster than modules do: Node.js makes a copy of each of its own modules for those that import it.
    format: 'cjs',
    // Read with `node --enable-source-maps`; without, a stack has the names of functions all the same.
    sourcemap: true,
    sourcemapExcludeSources: true,
    comments: { legal: true, annotation: false, jsdoc: false },
  });
  const chunks = output.filter((file) => file.type === 'chunk');
  await writeFile(join(directory, 'package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`);
  await writeFile(
    join(directory, 'LICENCES.txt'),
    await licencesOf(chunks.flatMap(({ moduleIds }) => moduleIds)),
  );
  return chunks;
}

if (import.meta.main) await buildProgram(join(ROOT, 'dist'));
