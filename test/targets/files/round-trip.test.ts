import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FilesContents } from '../../../src/domain/manifest.ts';
import { FilesSource } from '../../../src/sources/files/files-source.ts';
import { TarTreeInspector } from '../../../src/inspect/tar-tree.ts';
import { readTree } from '../../../src/targets/files/read-tree.ts';
import {
  below,
  digestOfDisk,
  fillWithEverything,
  isRoot,
  listDisk,
  pack,
  setMtime,
} from '../../support/file-tree.ts';
import { namesIn } from '../../support/temp-directory.ts';
import { extract, SIGNAL } from './archive.ts';
import { directoryOfNobody, extractAsNobody, unlockedDirectory } from './nobody.ts';

const EVERYTHING = { outsideLinks: true, owners: isRoot };
const SPARSE_BYTES = 50 * 1024 * 1024;

/** What a tree holds that only a restore has trouble with, beside everything that a packer has. */
function fillForRestore(top: string): void {
  fillWithEverything(top);
  const at = (name: string) => join(top, name);
  fs.mkdirSync(at('shut/inside'), { recursive: true });
  fs.writeFileSync(at('shut/inside/secret'), 'secret', { mode: 0o000 });
  fs.linkSync(at('shut/inside/secret'), at('a-name-before'));
  fs.symlinkSync('secret', at('shut/inside/link'));
  fs.writeFileSync(at('zero-mode'), 'x', { mode: 0 });
  for (const [name, mode] of [
    ['pipe', '600'],
    ['pipe é', '640'],
    ['shut/pipe', '400'],
  ] as const) {
    execFileSync('mkfifo', ['-m', mode, at(name)]);
  }
  fs.linkSync(at('pipe'), at('pipe-again'));
  fs.mkdirSync(at('read-only-directory/below'), { recursive: true });
  fs.writeFileSync(at('read-only-directory/file'), 'x');
  fs.writeFileSync(below(top, Buffer.alloc(255, 0xfe)), '255 bytes');
  const sparse = fs.openSync(at('sparse'), 'w');
  fs.writeSync(sparse, 'begin', 0);
  fs.writeSync(sparse, randomBytes(100_000), 0, 100_000, 20_000_000);
  fs.ftruncateSync(sparse, SPARSE_BYTES);
  fs.closeSync(sparse);
  let deep = top;
  for (let depth = 0; depth < 10; depth += 1) deep = join(deep, `${depth}-`.padEnd(100, 'deep '));
  fs.mkdirSync(deep, { recursive: true });
  fs.writeFileSync(join(deep, 'at the end'), 'deep');
  setMtime(at('read-only-directory'), '@-86400');
  setMtime(at('shut/inside'), '@4000000000');
  fs.chmodSync(at('shut/inside'), 0o000);
  fs.chmodSync(at('shut'), 0o600);
  fs.chmodSync(at('read-only-directory/below'), 0o555);
  fs.chmodSync(at('read-only-directory'), 0o555);
}

async function inspect(archive: Buffer): Promise<FilesContents> {
  const inspector = new TarTreeInspector();
  inspector.write(archive);
  return inspector.end();
}

async function packed(path: string): Promise<Buffer> {
  const source = new FilesSource({
    name: 's',
    directories: [{ path, as: 'top' }],
    exclude: [],
    leaveOut: [],
  });
  const chunks: Buffer[] = [];
  for await (const chunk of (await source.capture(SIGNAL)).stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

describe('a tree with everything', () => {
  test.runIf(isRoot)('is the same after a restore, with owners, and so is its digest', async () => {
    const home = await unlockedDirectory();
    const original = join(home, 'original');
    fs.mkdirSync(original);
    fillForRestore(original);
    const archive = await packed(original);
    const target = join(home, 'restaurado é');
    let onDisk: FilesContents | undefined;
    await extract(archive, target, EVERYTHING, async (directory) => {
      onDisk = await readTree(directory, ['top'], SIGNAL);
    });
    const restored = listDisk(join(target, 'top'), 'top');
    expect(restored).toEqual(listDisk(original, 'top'));
    expect(onDisk).toEqual(await inspect(archive));
    expect(onDisk?.digest).toBe(digestOfDisk(restored));
    const sparse = fs.statSync(join(target, 'top/sparse'));
    expect(sparse).toMatchObject({ size: SPARSE_BYTES });
    expect(sparse.blocks * 512).toBeLessThan(SPARSE_BYTES / 10);
    expect(await namesIn(home)).toEqual(['original', 'restaurado é']);
  });

  test.each(['a new directory', 'one that is there'])(
    'is the same to a user without rights, in %s',
    async (where) => {
      const home = await unlockedDirectory();
      const original = join(home, 'original');
      fs.mkdirSync(original);
      fillForRestore(original);
      const archive = pack({ roots: [{ path: original, as: 'top' }] }).archive;
      const file = join(home, 'archive');
      fs.writeFileSync(file, archive);
      const holder = await directoryOfNobody();
      const target = where === 'a new directory' ? join(holder, 'new') : holder;
      const { contents, error } = await extractAsNobody(file, target, { outsideLinks: true });
      expect(error).toBeUndefined();
      expect(contents).toEqual(await inspect(archive));
      expect(await namesIn(target)).toEqual(['top']);
      // The same once it was moved, read by somebody whom modes do not stop where there is one.
      const moved = isRoot
        ? digestOfDisk(listDisk(join(target, 'top'), 'top'))
        : (await readTree(target, ['top'], SIGNAL)).digest;
      expect(moved).toBe(contents?.digest);
    },
  );
});

test('any tree is the same after a restore', async () => {
  const home = await unlockedDirectory();
  const name = fc.constantFrom('a', 'b', 'c\n', '\xff', 'é', '.x', '-r');
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
  const kind = fc.constantFrom('file', 'directory', 'symlink', 'link');
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(path, kind), { maxLength: 12 }), async (entries) => {
      run += 1;
      const top = join(home, `from-${run}`);
      fs.mkdirSync(top);
      const made: Buffer[] = [];
      for (const [member, type] of entries) {
        const at = Buffer.from(`${top}/${member}`, 'latin1');
        try {
          fs.mkdirSync(at.subarray(0, at.lastIndexOf('/')), { recursive: true });
          if (type === 'directory') fs.mkdirSync(at);
          else if (type === 'symlink') fs.symlinkSync(Buffer.from(member, 'latin1'), at);
          else if (type === 'link' && made[0] !== undefined) fs.linkSync(made[0], at);
          else fs.writeFileSync(at, member, { flag: 'wx' });
          if (type === 'file' || type === 'symlink') made.unshift(at);
        } catch {
          // Something of that name is there.
        }
      }
      const { archive } = pack({ roots: [{ path: top, as: 'top' }] });
      await extract(archive, join(home, `to-${run}`), EVERYTHING);
      const contents = await readTree(join(home, `to-${run}`), ['top'], SIGNAL);
      expect(contents).toEqual(await inspect(archive));
    }),
    { numRuns: 15 },
  );
});
