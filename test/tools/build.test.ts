import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { OutputChunk } from 'rolldown';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildProgram } from '../../tools/build.ts';
import { ROOT } from '../support/cofre.ts';

const PACKAGE = /\/node_modules\/((?:@[^/]+\/)?[^/]+)/;
/** Prints the files of the bundle, and the modules of Node, that were loaded by the time it ends: the last line of stderr. */
const TELL_LOADED = `process.on('exit', () =>
  console.error(JSON.stringify({ files: Object.keys(require.cache), builtins: process.moduleLoadList })));`;
/** In place of a fault of the program. */
const BREAK_READING = `require('node:fs').readdirSync = () => { throw new Error('broken on purpose'); };`;

interface Package {
  dependencies: Record<string, string>;
}

let home = '';
let chunks: OutputChunk[] = [];

/** As it is installed: beside nothing but its package.json. */
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'cofre-build-'));
  chunks = await buildProgram(join(home, 'dist'));
  cpSync(join(ROOT, 'package.json'), join(home, 'package.json'));
  mkdirSync(join(home, 'data'));
  writeFileSync(join(home, 'data/note.txt'), 'a note\n');
  writeFileSync(join(home, 'data/left-out.tmp'), 'not this\n');
  writeFileSync(join(home, 'tell-loaded.cjs'), TELL_LOADED);
  writeFileSync(join(home, 'break-reading.cjs'), BREAK_READING);
  const source = { type: 'files', name: 'data', directories: [join(home, 'data')], exclude: ['*.tmp'] };
  const database = { type: 'postgres', name: 'app', url: 'postgresql://nobody@127.0.0.1/app' };
  writeFileSync(
    join(home, 'config.json'),
    JSON.stringify({
      timezone: 'Europe/Lisbon',
      location: 'location',
      jobs: {
        files: { schedule: '0 2 * * *', sources: [source] },
        database: { schedule: '0 3 * * *', sources: [database] },
      },
      http: { port: 0 },
    }),
  );
});
afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

function run(args: readonly string[], nodeArgs: readonly string[] = []) {
  const argv = [...nodeArgs, join(home, 'dist/main.js'), ...args, '--config', join(home, 'config.json')];
  return spawnSync(process.execPath, argv, { cwd: '/', env: cleanEnv(), encoding: 'utf8' });
}

function json<T>(args: readonly string[]): T {
  const { status, stdout, stderr } = run([...args, '--json']);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  return JSON.parse(stdout) as T;
}

function cleanEnv(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(?:COFRE_|NODE_|NOTIFY_SOCKET)/.test(name));
  return Object.fromEntries(kept);
}

function loadedBy(args: readonly string[]): { files: string[]; builtins: string[] } {
  const { status, stderr } = run(args, ['--require', join(home, 'tell-loaded.cjs')]);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  return JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '') as { files: string[]; builtins: string[] };
}

/** The chunks that a run has loaded. */
function chunksLoadedBy(args: readonly string[]): OutputChunk[] {
  const files = loadedBy(args).files.map((path) => basename(path));
  const loaded = chunks.filter(({ fileName }) => files.includes(fileName));
  expect(loaded.length).toBeGreaterThan(0);
  return loaded;
}

/** The packages that a run has loaded. */
function packagesLoadedBy(args: readonly string[]): string[] {
  return packagesOf(chunksLoadedBy(args));
}

function packagesOf(some: readonly OutputChunk[]): string[] {
  const names = some.flatMap(({ moduleIds }) => moduleIds.flatMap((path) => PACKAGE.exec(path)?.[1] ?? []));
  return [...new Set(names)].toSorted();
}

describe('the bundle', () => {
  test('backs up files with its packing thread, and lists, shows and verifies the archive', () => {
    const { runs } = json<{ runs: { archives: { filename: string; filepath: string }[] }[] }>([
      'backup',
      'files',
    ]);
    const { filename = '', filepath = '' } = runs[0]?.archives[0] ?? {};
    expect(execFileSync('tar', ['-tzf', filepath], { encoding: 'utf8' })).toBe('data/\ndata/note.txt\n');
    expect(json<{ count: number }>(['list'])).toMatchObject({ count: 1, backups: [{ filename }] });
    expect(json(['show', filename])).toMatchObject({ filename, contents: { entries: 2, bytes: 7 } });
    expect(json(['verify', filename])).toMatchObject({ results: [{ filename, valid: true }] });
    expect(json(['drill', filename])).toMatchObject({ results: [{ verdict: 'proven' }] });
  });

  test.each([[['list']], [['list', '--json']], [['show', 'FILENAME']]])(
    'loads for %j only what that needs',
    (args) => {
      const { runs } = json<{ runs: { archives: { filename: string }[] }[] }>(['backup', 'files']);
      const filename = runs[0]?.archives[0]?.filename ?? '';
      const named = args.map((arg) => (arg === 'FILENAME' ? filename : arg));
      expect(packagesLoadedBy(named)).toEqual(['commander', 'croner', 'dotenv', 'zod']);
    },
  );

  test('loads for a backup of files no client of a database, no tracer, and nothing of what restores', () => {
    const loaded = chunksLoadedBy(['backup', 'files']);
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Package;
    const ours = packagesOf(loaded).filter((name) => name in dependencies);
    const wanted = ['cli-progress', 'commander', 'croner', 'dotenv', 'pino', 'prom-client', 'tar', 'zod'];
    expect(ours).toEqual(wanted);
    expect(packagesOf(loaded)).not.toContain('@opentelemetry/api');
    const sources = loaded.flatMap(({ moduleIds }) => moduleIds);
    expect(sources.some((path) => path.includes('/src/sources/'))).toBe(true);
    expect(sources.filter((path) => path.includes('/src/targets/'))).toEqual([]);
  });

  test('loads of zod what validates, and what makes a JSON schema only for that', () => {
    const zodOf = (args: readonly string[]) =>
      chunksLoadedBy(args)
        .flatMap(({ moduleIds }) => moduleIds)
        .filter((path) => path.includes('/node_modules/zod/'))
        .join('\n');
    expect(zodOf(['list'])).toContain('/zod/v4/mini/');
    expect(zodOf(['list'])).not.toContain('json-schema');
    // What any other command needs of the larger one would lie in a chunk that all of them load.
    expect(chunks.flatMap(({ moduleIds }) => moduleIds).join('\n')).not.toContain('/zod/v4/classic/');
    expect(zodOf(['config', 'schema'])).toContain('json-schema');
  });

  test('says what is wrong with a manifest', () => {
    const { runs } = json<{ runs: { archives: { filename: string }[] }[] }>(['backup', 'files']);
    const filename = runs[0]?.archives[0]?.filename ?? '';
    const manifest = join(home, `location/manifests/${filename}.json`);
    const text = readFileSync(manifest, 'utf8');
    writeFileSync(manifest, JSON.stringify({ ...(JSON.parse(text) as object), size: 'large' }));
    const { stderr } = run(['show', filename]);
    writeFileSync(manifest, text);
    expect(stderr).toContain('size: Invalid input: expected number, received string');
  });

  test('starts nothing, and loads nothing to start it with, where nothing is to be started', () => {
    expect(loadedBy(['list']).builtins).not.toContain('NativeModule child_process');
    expect(loadedBy(['backup', 'files']).builtins).toContain('NativeModule child_process');
  });

  test('has the packages that only some commands need, in other files', () => {
    expect(packagesLoadedBy(['verify', '--all'])).toEqual(
      expect.arrayContaining(['pino', 'prom-client', 'zod']),
    );
    expect(packagesOf(chunks)).toEqual(
      expect.arrayContaining(['cli-progress', 'fastify', 'pg', 'picomatch', 'pino-pretty', 'tar']),
    );
  });

  test('is a daemon that answers, and that ends when it is told', async () => {
    const argv = [join(home, 'dist/main.js'), 'daemon', '--config', join(home, 'config.json')];
    const child: ChildProcess = spawn(process.execPath, argv, {
      cwd: '/',
      env: cleanEnv(),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = once(child, 'close');
    let log = '';
    for await (const chunk of child.stderr ?? []) {
      log += String(chunk);
      if (log.includes('cofre is ready') && log.includes('listening on ')) break;
    }
    const url = /listening on (http:[^"\s]+)/.exec(log)?.[1] ?? log;
    const metrics = await fetch(`${url}/metrics`).finally(() => child.kill('SIGTERM'));
    expect(await metrics.text()).toContain('cofre_build_info{');
    expect(await ended).toEqual([0, null]);
  });

  test('leads a stack back to the sources', () => {
    const { status, stderr } = run(
      ['list'],
      ['--enable-source-maps', '--require', join(home, 'break-reading.cjs')],
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/broken on purpose[^]*src\/catalogue\/manifest-view\.ts:\d+/);
  });

  test('names every function in a stack also without maps', () => {
    const { stderr } = run(['list'], ['--require', join(home, 'break-reading.cjs')]);
    expect(stderr).toContain('at Catalogue.list');
  });

  test('has the licence of every package in it', () => {
    const licences = readFileSync(join(home, 'dist/LICENCES.txt'), 'utf8');
    for (const name of packagesOf(chunks)) {
      const { version } = JSON.parse(
        readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8'),
      ) as { version: string };
      expect(licences).toContain(`${name} ${version}: `);
    }
  });
});
