import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from './support/temp-directory.ts';

const ROOT = join(import.meta.dirname, '..');
const SRC = join(ROOT, 'src');
const LINES_MAX = 300;

/**
 * What each layer may import, itself included. `top` is what lies directly in src: the entry, and composition,
 * which alone names concrete adapters.
 */
const MAY_IMPORT: Record<string, readonly string[]> = {
  domain: ['domain'],
  lib: ['lib', 'domain'],
  config: ['config', 'domain', 'lib'],
  postgres: ['postgres', 'domain', 'lib'],
  formats: ['formats', 'domain', 'lib'],
  sources: ['sources', 'postgres', 'domain', 'lib'],
  codecs: ['codecs', 'domain', 'lib'],
  stores: ['stores', 'domain', 'lib'],
  inspect: ['inspect', 'formats', 'domain', 'lib'],
  targets: ['targets', 'formats', 'postgres', 'domain', 'lib'],
  scratch: ['scratch', 'postgres', 'domain', 'lib'],
  catalogue: ['catalogue', 'domain', 'lib'],
  engine: ['engine', 'catalogue', 'domain', 'lib'],
  daemon: ['daemon', 'engine', 'catalogue', 'domain', 'lib'],
  http: ['http', 'engine', 'catalogue', 'domain', 'lib'],
  notify: ['notify', 'engine', 'catalogue', 'domain', 'lib'],
  cli: ['cli', 'top', 'config', 'daemon', 'http', 'engine', 'catalogue', 'domain', 'lib'],
};
const LAYERS = Object.keys(MAY_IMPORT);

interface SourceFile {
  /** Below src, with `/`. */
  path: string;
  text: string;
}

const FILES: readonly SourceFile[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => ({ path, text: readFileSync(join(SRC, path), 'utf8') }));

/** The first directory of a path below src. */
function layerOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] ?? '') : 'top';
}

/** Every module that a file names in an import or an export, in `import()` and in `new URL()`. */
function importsOf({ text }: SourceFile): string[] {
  const named = /(?:\bfrom|\bimport|\bimport\(|new URL\()\s*['"]([^'"]+)['"]/g;
  return [...text.matchAll(named)].flatMap((match) => match[1] ?? []);
}

function forbiddenImports(file: SourceFile): string[] {
  const allowed = MAY_IMPORT[layerOf(file.path)];
  if (allowed === undefined) return [];
  return importsOf(file)
    .filter((name) => name.startsWith('.'))
    .map((name) => relative(SRC, join(SRC, dirname(file.path), name)))
    .filter((target) => !target.startsWith('..') && !allowed.includes(layerOf(target)))
    .map((target) => `${file.path} imports ${target}`);
}

describe('the layers', () => {
  test('are all there is in src', () => {
    const found = new Set(FILES.map(({ path }) => layerOf(path)));
    expect([...found].toSorted()).toEqual([...LAYERS, 'top'].toSorted());
  });

  test('import down only, and adapters never one another', () => {
    expect(FILES.flatMap(forbiddenImports)).toEqual([]);
  });

  test('an upward import would be seen, in whatever form', () => {
    for (const text of [
      "import { x } from '../engine/run.ts';",
      "import type { X } from '../engine/run.ts';",
      "export * from '../engine/run.ts';",
      "import '../engine/run.ts';",
      "const x = await import('../engine/run.ts');",
      "import {\n  x,\n} from '../engine/run.ts';",
    ]) {
      expect(forbiddenImports({ path: 'domain/x.ts', text })).toEqual(['domain/x.ts imports engine/run.ts']);
    }
  });

  test('the domain does no I/O', () => {
    const allowed = ['node:crypto', 'croner'];
    const foreign = FILES.filter(({ path }) => layerOf(path) === 'domain').flatMap((file) =>
      importsOf(file).filter((name) => !name.startsWith('.') && !allowed.includes(name)),
    );
    expect(foreign).toEqual([]);
  });

  test('are enforced by the linter as well', async () => {
    const copy = await temporaryDirectory();
    cpSync(join(ROOT, '.oxlintrc.json'), join(copy, '.oxlintrc.json'));
    const expected: string[] = [];
    for (const layer of LAYERS) {
      mkdirSync(join(copy, 'src', layer), { recursive: true });
      for (const target of [...LAYERS, 'compose', 'main']) {
        if (MAY_IMPORT[layer]?.includes(target) === true || layer === 'cli') continue;
        const file = `src/${layer}/imports-${target}.ts`;
        const module = LAYERS.includes(target) ? `${target}/x.ts` : `${target}.ts`;
        writeFileSync(join(copy, file), `export { x } from '../${module}';\n`);
        expected.push(file);
      }
      const fine = `import { x } from '../domain/x.ts';\n\nexport const y = x;\n`;
      writeFileSync(join(copy, 'src', layer, 'fine.ts'), fine);
    }
    const oxlint = join(ROOT, 'node_modules/.bin/oxlint');
    const { stdout } = spawnSync(oxlint, ['--format', 'json'], { cwd: copy, encoding: 'utf8' });
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: { help?: string; filename: string }[] };
    const told = diagnostics.filter(({ help }) => help?.startsWith('Imports point down only') === true);
    const refused = new Set(told.map(({ filename }) => filename));
    expect([...refused].toSorted()).toEqual(expected.toSorted());
  });
});

describe('the house', () => {
  test(`no file is longer than ${LINES_MAX} lines`, () => {
    const long = FILES.filter(({ text }) => text.split('\n').length - 1 > LINES_MAX);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  test('files are kebab-case, exports are named', () => {
    expect(
      FILES.map(({ path }) => path).filter((path) => !/^([a-z0-9]+[-/])*[a-z0-9]+\.ts$/.test(path)),
    ).toEqual([]);
    expect(FILES.filter(({ text }) => /\bexport default\b/.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test('the process is ended by hand at a forced deadline and on a wrong Node only', () => {
    const ending = FILES.filter(({ text }) =>
      /\bprocess\s*\.\s*(exit|abort|kill\(process\.pid)\b/.test(text),
    );
    expect(ending.map(({ path }) => path).toSorted()).toEqual(['cli/commands/daemon.ts', 'runtime.ts']);
  });

  test('no shell is involved in anything', () => {
    const shells = FILES.filter(({ text }) => /\bexecSync\b|\bexec\(\s*['"`]|shell:\s*true/.test(text));
    expect(shells.map(({ path }) => path)).toEqual([]);
  });

  test('nothing is left to do, and no rule is switched off', () => {
    const open = FILES.filter(({ text }) =>
      /\bTODO\b|\bFIXME\b|oxlint-disable|eslint-disable|@ts-(ignore|expect)/.test(text),
    );
    expect(open.map(({ path }) => path)).toEqual([]);
  });
});
