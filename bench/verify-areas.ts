/** Reading an archive again and comparing what is in it, beside decompressing and hashing it. */
import type { Area } from './area.ts';
import { compare, type Peer } from './peers.ts';
import { makeSetup } from './program.ts';
import { megabytes, type Row } from './row.ts';
import type { Workbench } from './workbench.ts';

const PEERS: Readonly<Record<'gzip' | 'zstd', Peer>> = {
  zstd: {
    name: 'zstd -dc | sha256sum',
    script: 'zstd -q -dc "$ARCHIVE" | sha256sum',
    needs: ['zstd', 'sha256sum'],
    atMost: 1.2,
  },
  gzip: {
    name: 'gzip -dc | sha256sum',
    script: 'gzip -dc "$ARCHIVE" | sha256sum',
    needs: ['gzip', 'sha256sum'],
    atMost: 1.0,
  },
};

export const VERIFY_AREAS: readonly Area[] = (['zstd', 'gzip'] as const).map((compression) => ({
  name: `verify-${compression}`,
  needsServer: true,
  run: (bench) => compareVerification(bench, compression),
}));

async function compareVerification(bench: Workbench, compression: 'gzip' | 'zstd'): Promise<Row[]> {
  const { url } = await bench.shop();
  const area = `verify-${compression}`;
  const source = { type: 'postgres', name: 'shop', url };
  const setup = await makeSetup(bench.directory, area, { source, compression });
  const { filename, filepath, raw_size } = (await bench.program.backup(setup)).manifest;
  return await compare(bench, {
    area,
    work: `\`cofre verify\` of a dump of ${megabytes(raw_size)} at level contents, ${compression}`,
    peers: [PEERS[compression]],
    env: { ARCHIVE: filepath, OUT: bench.path('peer') },
    ours: {
      name: 'cofre',
      run: async () => {
        const { wall_ms, peak_bytes } = await bench.program.run(setup, 'verify', filename);
        return { wall_ms, peak_bytes };
      },
    },
  });
}
