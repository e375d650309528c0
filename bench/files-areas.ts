/** Backups of directories beside tar and restic. */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Area } from './area.ts';
import { makeBigFile, makeSmallFiles } from './file-trees.ts';
import { compare, type Peer } from './peers.ts';
import { makeSetup } from './program.ts';
import type { Row } from './row.ts';
import { note, type Workbench } from './workbench.ts';

const SMALL_FILES = 46_000;
const BIG_FILE_BYTES = 2_000_000_000;
const TREE = 'tree';

const TAR: Omit<Peer, 'atMost'> = {
  name: 'tar c | zstd -T2 >f; sha256sum f; sync f',
  script: 'tar -C "$PARENT" -c "$TREE" | zstd -q -T2 >"$OUT"; sha256sum "$OUT"; sync "$OUT"',
  needs: ['tar', 'zstd', 'sha256sum'],
};

const RESTIC_ENV =
  'export RESTIC_PASSWORD=bench RESTIC_REPOSITORY="$OUT/repository" RESTIC_CACHE_DIR="$OUT/cache"';
const RESTIC: Peer = {
  name: 'first run of `restic backup`',
  before: `${RESTIC_ENV}; restic -q init`,
  script: `${RESTIC_ENV}; restic -q backup "$PARENT/$TREE"`,
  needs: ['restic'],
  atMost: 0.5,
};

interface FilesWork {
  name: string;
  peers: readonly Peer[];
  /** Makes the tree, and says what it is. */
  make: (root: string, bench: Workbench) => Promise<string>;
}

const WORKS: readonly FilesWork[] = [
  {
    name: 'small-files',
    peers: [{ ...TAR, atMost: 1.3 }, RESTIC],
    make: async (root, { scale, signal }) => {
      const files = Math.max(1, Math.round(SMALL_FILES * scale));
      await makeSmallFiles(root, files, signal);
      return `${files.toLocaleString('en')} small files, generated in the likeness of /usr/share`;
    },
  },
  {
    name: 'big-file',
    peers: [{ ...TAR, atMost: 1.2 }],
    make: async (root, { scale, signal }) => {
      const bytes = Math.max(1, Math.round(BIG_FILE_BYTES * scale));
      await mkdir(root);
      await makeBigFile(join(root, 'big.dat'), bytes, signal);
      return `one file of ${(bytes / 1e9).toLocaleString('en')} GB, generated`;
    },
  },
];

export const FILES_AREAS: readonly Area[] = WORKS.map((work) => ({
  name: work.name,
  needsServer: false,
  run: (bench) => compareBackups(bench, work),
}));

async function compareBackups(bench: Workbench, { name, peers, make }: FilesWork): Promise<Row[]> {
  const root = bench.path(TREE);
  note(`making the files of ${name}`);
  const what = await make(root, bench);
  const source = { type: 'files', name: 'files', directories: [root] };
  const setup = await makeSetup(bench.directory, name, { source });
  return await compare(bench, {
    area: name,
    work: `backup of ${what}, zstd`,
    peers,
    env: { PARENT: dirname(root), TREE, OUT: bench.path('peer') },
    ours: {
      name: 'cofre',
      run: async () => (await bench.program.backup(setup)).sample,
      clear: () => bench.program.clear(setup),
    },
  });
}
