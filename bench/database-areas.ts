/** Backups of a database beside what one would pipe pg_dump into. */
import { join } from 'node:path';
import type { Area } from './area.ts';
import { absent, compare, type Peer } from './peers.ts';
import { makeSetup } from './program.ts';
import type { Workbench } from './workbench.ts';

const DUMP = '"$PG_DUMP" -d "$URL"';
const REST = 'sha256sum "$OUT"; sync "$OUT"';

const ZSTD_PEERS: readonly Peer[] = [
  { name: 'pg_dump | cat >/dev/null', script: `${DUMP} | cat >/dev/null`, needs: [], atMost: 1.4 },
  {
    name: 'pg_dump | zstd -T2 >f; sha256sum f; sync f',
    script: `${DUMP} | zstd -q -T2 >"$OUT"; ${REST}`,
    needs: ['zstd', 'sha256sum'],
    atMost: 1.0,
  },
];

const GZIP_PEERS: readonly Peer[] = [
  {
    name: 'pg_dump | gzip >f; sha256sum f; sync f',
    script: `${DUMP} | gzip >"$OUT"; ${REST}`,
    needs: ['gzip', 'sha256sum'],
    atMost: 0.75,
  },
  {
    name: 'pg_dump | pigz >f; sha256sum f; sync f',
    script: `${DUMP} | pigz >"$OUT"; ${REST}`,
    needs: ['pigz', 'sha256sum'],
    atMost: 1.1,
  },
];

const DIRECTORY_PEERS: readonly Peer[] = [
  { name: 'pg_dump -Fd -j2', script: '"$PG_DUMP" -Fd -j2 -f "$OUT" -d "$URL"', needs: [] },
];

/** In which they differ. */
const DIRECTORY_REMARK =
  'not like for like: the peer compresses with gzip, in its two jobs, and its files are the result; cofre has it dump without compression, then packs what is staged into one tar with zstd, hashes that and digests each table. Both flush';

interface DatabaseWork {
  name: string;
  work: string;
  compression: 'gzip' | 'zstd';
  /** Beside name and address. */
  source?: Record<string, unknown>;
  peers: readonly Peer[];
  remarks?: readonly string[];
}

const WORKS: readonly DatabaseWork[] = [
  { name: 'db-zstd', work: 'backup of a database, zstd', compression: 'zstd', peers: ZSTD_PEERS },
  { name: 'db-gzip', work: 'backup of a database, gzip', compression: 'gzip', peers: GZIP_PEERS },
  {
    name: 'db-directory',
    work: 'backup of a database, format directory, 2 dump jobs, zstd',
    compression: 'zstd',
    source: { format: 'directory', dumpJobs: 2 },
    peers: DIRECTORY_PEERS,
    remarks: [DIRECTORY_REMARK],
  },
];

export const DATABASE_AREAS: readonly Area[] = WORKS.map((work) => ({
  name: work.name,
  needsServer: true,
  run: (bench) => compareBackups(bench, work),
}));

async function compareBackups(bench: Workbench, { name, work, ...options }: DatabaseWork) {
  const { compression, source, peers, remarks } = options;
  const { url, cluster } = await bench.shop();
  const setup = await makeSetup(bench.directory, name, {
    source: { type: 'postgres', name: 'shop', url, ...source },
    compression,
  });
  const refusal = source === undefined ? undefined : await bench.program.refusal(setup);
  if (refusal !== undefined) {
    return absent({ area: name, work, peers }, 'not built', 'the program refuses this configuration');
  }
  return await compare(bench, {
    area: name,
    work,
    peers,
    ...(remarks === undefined ? {} : { remarks }),
    env: { URL: url, PG_DUMP: join(cluster.binDir, 'pg_dump'), OUT: bench.path('peer') },
    ours: {
      name: 'cofre',
      run: async () => (await bench.program.backup(setup)).sample,
      clear: () => bench.program.clear(setup),
    },
  });
}
