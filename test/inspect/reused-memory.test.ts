import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { FilesContents } from '../../src/domain/manifest.ts';
import type { Inspector } from '../../src/domain/ports.ts';
import type { TreeEntry } from '../../src/domain/tree-listing.ts';
import { CustomDumpInspector } from '../../src/inspect/custom-dump.ts';
import { DirectoryDumpInspector } from '../../src/inspect/directory-dump.ts';
import { PlainDumpSurveyor } from '../../src/inspect/dump-surveyor.ts';
import { PlainDumpInspector } from '../../src/inspect/plain-dump.ts';
import { TarTreeInspector } from '../../src/inspect/tar-tree.ts';
import { TarTreeLister } from '../../src/inspect/tree-lister.ts';
import { directoryTar } from '../support/directory-tar.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { digestOfDisk, fillWithEverything, listDisk, pack, scratch } from '../support/file-tree.ts';
import { piecesOf, reusing } from '../support/reusing.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';
import { noise } from '../support/varied-bytes.ts';
import { waitFor } from '../support/wait-for.ts';
import { inspectByReference } from './reference-inspector.ts';

/*
 * A chunk is valid during `write` only: the next one lies in the same memory. Whoever keeps a piece of one without
 * copying it reads something else later.
 */

/** Headers, names, fields and rows are all cut somewhere. */
const CHUNK_BYTES = [101, 509, 4_096];

async function feed(inspector: Pick<Inspector, 'write'>, bytes: Buffer, chunkBytes: number): Promise<void> {
  for await (const chunk of reusing(piecesOf(bytes, chunkBytes))) await inspector.write(chunk);
}

describe('a plain dump', () => {
  const row = (n: number) => `${n}\tname of ${n}\t${'x'.repeat(n % 90)}\n`;
  const entry = (type: string, name: string, sql: string) =>
    `--\n-- Name: ${name}; Type: ${type}; Schema: public; Owner: me\n--\n\n${sql}\n\n\n`;
  const dump = Buffer.from(
    [
      '--\n-- PostgreSQL database dump\n--\n\n\\restrict abcdefghijklmnopqrstuvwxyz0123456789\n\n',
      '-- Dumped from database version 15.18\n-- Dumped by pg_dump version 17.2\n\n',
      "SET client_encoding = 'UTF8';\nSET search_path = shop;\n\n",
      entry('SCHEMA', 'shop', 'CREATE SCHEMA shop;\n\n\nALTER SCHEMA shop OWNER TO me;'),
      entry('EXTENSION', 'citext', 'CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA shop;'),
      entry('FUNCTION', 'f()', `CREATE FUNCTION f() AS $x$\n${'-- a line; of $$ it\n'.repeat(40)}$x$;`),
      entry(
        'TABLE',
        'a',
        `CREATE TABLE public.a (\n${'    column_name integer,\n'.repeat(30)}    z text\n);`,
      ),
      entry('VIEW', 'v', `CREATE VIEW v AS SELECT 'it''s', E'\\'x', "q""q" /* a /* b */ c */;`),
      `COPY public.a (id, name, z) FROM stdin;\n${Array.from({ length: 400 }, (_, n) => row(n)).join('')}\\.\n\n\n`,
      `COPY public."odd ""table""" (z, a) FROM stdin;\n\\\\.\t1\n2\t\\N\n\\.\n\n\n`,
      entry('ACL', 'TABLE a', 'GRANT SELECT ON TABLE public.a TO reader;'),
      '--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abcdefghijklmnopqrstuvwxyz0123456789\n\n',
    ].join(''),
  );

  test.each(CHUNK_BYTES)('has the contents that it has as a whole, in chunks of %i bytes', async (bytes) => {
    await using inspector = new PlainDumpInspector();
    await feed(inspector, dump, bytes);
    expect(await inspector.end()).toEqual(inspectByReference(dump));
  });

  test.each(CHUNK_BYTES)('is surveyed as it is as a whole, in chunks of %i bytes', async (bytes) => {
    const [whole, reused] = [new PlainDumpSurveyor(() => true), new PlainDumpSurveyor(() => true)];
    whole.write(dump);
    await feed(reused, dump, bytes);
    expect(await reused.end()).toEqual(await whole.end());
    expect(reused.survey()).toEqual(whole.survey());
    expect(reused.survey().sections.size).toBeGreaterThan(6);
  });
});

describe('the tar of a tree', () => {
  let archive: Buffer;
  let disk: ReturnType<typeof listDisk>;

  beforeAll(() => {
    using home = scratch();
    fillWithEverything(home.path);
    ({ archive } = pack({ roots: [{ path: home.path, as: 'top' }] }));
    disk = listDisk(home.path, 'top');
  });

  test.each(CHUNK_BYTES)('has the digest of what lies on disk, in chunks of %i bytes', async (bytes) => {
    await using inspector = new TarTreeInspector();
    await feed(inspector, archive, bytes);
    const { digest, entries }: FilesContents = await inspector.end();
    expect({ digest, entries }).toEqual({ digest: digestOfDisk(disk), entries: disk.length });
  });

  test.each(CHUNK_BYTES)('is listed as it is as a whole, in chunks of %i bytes', async (bytes) => {
    const listed: TreeEntry[] = [];
    const expected: TreeEntry[] = [];
    const whole = new TarTreeLister({ onEntry: (entry) => expected.push(entry), digests: true });
    whole.write(archive);
    const reused = new TarTreeLister({ onEntry: (entry) => listed.push(entry), digests: true });
    for await (const chunk of reusing(piecesOf(archive, bytes))) reused.write(chunk);
    reused.end();
    expect(listed.length).toBe(disk.length);
    expect(listed).toEqual(expected);
  });
});

describe('what goes on to pg_restore', () => {
  const WHOLE = "printf -- '--\\n-- PostgreSQL database dump complete\\n--\\n\\n'";
  /** Small enough that several wait for a pg_restore that is busy. */
  const PIECE_BYTES = 3_000;

  /**
   * What a stand-in for pg_restore has read at the end, which reads nothing before it is waited for. What was written
   * by then lies in memory of ours.
   */
  async function received(
    open: (pgRestore: string) => Inspector,
    pieces: AsyncIterable<Buffer>,
  ): Promise<Buffer> {
    const dir = await temporaryDirectory();
    const at = (name: string) => join(dir, name);
    const script = `#!/bin/sh
touch ${at('started')}; until [ -e ${at('go')} ]; do sleep 0.01; done; cat > ${at('got')}; ${WHOLE}
`;
    await writeFile(at('pg_restore'), script, { mode: 0o755 });
    await using inspector = open(at('pg_restore'));
    let isHeldUp = false;
    for await (const piece of pieces) {
      let isTaken = false;
      const writing = Promise.resolve(inspector.write(piece)).then(() => {
        isTaken = true;
      });
      await waitFor('the program', () => existsSync(at('started')));
      await new Promise((resolve) => setImmediate(resolve));
      if (!isTaken && !isHeldUp) {
        isHeldUp = true;
        await writeFile(at('go'), '');
      }
      await writing;
    }
    expect(isHeldUp).toBe(true);
    await inspector.end();
    return await readFile(at('got'));
  }

  const CUSTOM = noise(600_000);
  const DATA = noise(300_000).toString('hex');
  const DIRECTORY = directoryTar([
    { path: 'app.dir/', flag: '5' },
    { path: 'app.dir/toc.dat', data: 'toc' },
    { path: 'app.dir/1.dat', data: DATA },
  ]);

  test('a custom dump arrives as it was', async () => {
    const open = (pgRestore: string) =>
      new CustomDumpInspector({ pgRestore, env: process.env, signal: NO_ABORT });
    const got = await received(open, reusing(piecesOf(CUSTOM, PIECE_BYTES)));
    expect(got.equals(CUSTOM)).toBe(true);
  });

  test('the files of a dump in the directory format arrive as they were', async () => {
    const open = (pgRestore: string) =>
      new DirectoryDumpInspector({ pgRestore, env: process.env, signal: NO_ABORT });
    const got = await received(open, reusing(piecesOf(DIRECTORY, PIECE_BYTES)));
    // The header and the block of the table of contents, then those of the data.
    const [toc, data] = [512, 1_536];
    expect(got.toString('latin1', toc, toc + 3)).toBe('toc');
    expect(got.toString('latin1', data, data + DATA.length) === DATA).toBe(true);
  });
});
