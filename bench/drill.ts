/**
 * Figures of verifying, restoring and drilling a database, beside those of the standard programs, as a Markdown
 * table: `npm run bench:drill -- [--megabytes 1000] [--runs 3] [--format plain|custom] [--directory DIR]`. Nothing is
 * left behind.
 */
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Manifest } from '../src/domain/manifest.ts';
import { type Cluster, startCluster } from '../tools/cluster.ts';
import { makeDatabase } from './database.ts';
import { measure, type Measured, measurePipe, median } from './measure.ts';
import { buildProgram } from './program.ts';

/** What is published: nobody runs the sources. */
const MAIN = join(import.meta.dirname, '../dist/main.js');
/** The other database, which shows whether memory grows with the size. */
const SMALL_MEGABYTES = 100;
/** The database, its copy, both archives, one of them unpacked, a scratch cluster, and what the server logs. */
const SPACE_FACTOR = 9;
const FORMATS = ['plain', 'custom'] as const;
type Format = (typeof FORMATS)[number];

interface Row {
  what: string;
  wall_ms: number[];
  peak_bytes: number[];
  /** What a drill says of how long a recovery takes. */
  recovery_ms: number[];
}

/** A configured program, and the cluster that databases are backed up from and restored into. */
interface Bench {
  cluster: Cluster;
  directory: string;
  config: string;
  runs: number;
}

const RESTORED = 'restored';
const BUILD_MS = 60_000;

/** What one would do by hand. */
const PIPELINES: Record<
  Format,
  { what: string; run: (bench: Bench, archive: string, url: string) => Promise<number> }
> = {
  plain: {
    what: '`zstd -dc \\| psql -1`',
    run: async (_bench, archive, url) =>
      await measurePipe(
        ['zstd', '-dc', archive],
        ['psql', '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-d', url],
      ),
  },
  custom: {
    what: '`zstd -d`, `pg_restore -j2`',
    run: async ({ directory }, archive, url) => {
      const unpacked = join(directory, 'unpacked');
      const { wall_ms } = await measure(['zstd', '-q', '-f', '-d', archive, '-o', unpacked]);
      const restored = await measure(['pg_restore', '-j2', '--exit-on-error', '-d', url, unpacked]);
      await rm(unpacked);
      return wall_ms + restored.wall_ms;
    },
  },
};

async function benchFormat(bench: Bench, size: number, format: Format): Promise<Row[]> {
  const source = `${nameOf(size)}_${format}`;
  note(`${size} MB, ${format}: backup`);
  const { stdout, ...backup } = await cofre(bench, 'backup', source);
  const [manifest] = (JSON.parse(stdout) as { runs: { archives: Manifest[] }[] }).runs[0]?.archives ?? [];
  if (manifest === undefined) throw new Error(`no backup of ${source}: ${stdout}`);
  const { filename, filepath } = manifest;
  const backedUp: Row = {
    what: `${format}: \`cofre backup\` (${mega(manifest.raw_size)} raw, ${mega(manifest.size)} stored)`,
    wall_ms: [backup.wall_ms],
    peak_bytes: [backup.peak_bytes],
    recovery_ms: [],
  };
  const rows = [backedUp];
  const repeat = async (what: string, work: () => Promise<Partial<Measured>>) => {
    note(`${size} MB, ${format}: ${what}`);
    const row: Row = { what: `${format}: ${what}`, wall_ms: [], peak_bytes: [], recovery_ms: [] };
    for (let run = 0; run < bench.runs; run += 1) {
      const { wall_ms, peak_bytes, stdout: answer } = await work();
      if (wall_ms !== undefined) row.wall_ms.push(wall_ms);
      if (peak_bytes !== undefined) row.peak_bytes.push(peak_bytes);
      const { results } = JSON.parse(answer ?? '{}') as {
        results?: { verdict?: string; duration_ms?: number }[];
      };
      const [result] = results ?? [];
      if (result?.verdict !== undefined && result.verdict !== 'proven') throw new Error(answer);
      if (result?.duration_ms !== undefined) row.recovery_ms.push(result.duration_ms);
    }
    rows.push(row);
  };
  await repeat('`cofre verify`', () => cofre(bench, 'verify', filename));
  await repeat(PIPELINES[format].what, async () => ({
    wall_ms: await intoNewDatabase(bench, (url) => PIPELINES[format].run(bench, filepath, url)),
  }));
  await repeat('`cofre restore --create`', async () => {
    const to = bench.cluster.urlOf(RESTORED);
    const jobs = format === 'custom' ? ['--jobs', '2'] : [];
    const measured = await cofre(bench, 'restore', filename, '--to', to, '--create', ...jobs);
    await bench.cluster.psql('postgres', `DROP DATABASE ${RESTORED}`);
    return { ...measured, stdout: '{}' };
  });
  await repeat('`cofre drill`', () => cofre(bench, 'drill', filename));
  return rows;
}

async function intoNewDatabase({ cluster }: Bench, work: (url: string) => Promise<number>): Promise<number> {
  const from = performance.now();
  await cluster.createDatabase(RESTORED);
  const creation_ms = performance.now() - from;
  const wall_ms = await work(cluster.urlOf(RESTORED));
  await cluster.psql('postgres', `DROP DATABASE ${RESTORED}`);
  return creation_ms + wall_ms;
}

async function cofre({ config }: Bench, ...args: string[]): Promise<Measured> {
  return await measure([process.execPath, MAIN, ...args, '--config', config, '--json']);
}

async function configure({ cluster, directory, config }: Bench, sizes: readonly number[]): Promise<void> {
  const jobs = sizes.flatMap((size) =>
    FORMATS.map((format) => {
      const name = `${nameOf(size)}_${format}`;
      const sources = [{ type: 'postgres', name, url: cluster.urlOf(nameOf(size)), format }];
      return [name, { schedule: '0 0 29 2 *', sources, compression: 'zstd' }] as const;
    }),
  );
  await writeFile(
    config,
    JSON.stringify({ location: join(directory, 'location'), jobs: Object.fromEntries(jobs) }),
  );
}

function nameOf(size: number): string {
  return `bench_${size}`;
}

function table(size: number, rows: readonly Row[], runs: number): string {
  const lines = rows.map(({ what, wall_ms, peak_bytes, recovery_ms }) => {
    const cells = [
      what,
      seconds(median(wall_ms)),
      peak_bytes.length === 0 ? '' : mega(median(peak_bytes)),
      recovery_ms.length === 0 ? '' : seconds(median(recovery_ms)),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    `\n${size} MB, medians of ${runs} (backup: 1):\n`,
    '| | wall | peak RSS of cofre | recovery time it reports |',
    '|---|---|---|---|',
    ...lines,
  ].join('\n');
}

async function machine(cluster: Cluster): Promise<string> {
  const [cpu] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const server = await cluster.psql('postgres', 'SHOW server_version');
  const at = new Date().toISOString().slice(0, 10);
  return `${at}: ${cpus().length} × ${cpu?.model.trim()}, ${memory}, Linux ${/^\d+\.\d+/.exec(release())?.[0]}, Node ${process.version}, PostgreSQL ${server}`;
}

async function assertSpace(path: string, size: number): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  const needed = size * SPACE_FACTOR;
  const free = Math.floor((bavail * bsize) / 1_000_000);
  if (free < needed)
    throw new Error(`${free} MB are free in ${path}, ${needed} are needed: name another --directory`);
}

function positive(text: string, flag: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new Error(`${flag} is ${JSON.stringify(text)}: it takes a whole number above 0`);
}

function note(text: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function mega(bytes: number): string {
  return `${Math.round(bytes / 1_000_000)} MB`;
}

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '1000' },
    runs: { type: 'string', default: '3' },
    directory: { type: 'string', default: tmpdir() },
    format: { type: 'string' },
  },
});
const megabytes = positive(values.megabytes, '--megabytes');
const formats = FORMATS.filter((format) => values.format === undefined || values.format === format);
if (formats.length === 0) throw new Error(`--format is ${values.format}: it takes ${FORMATS.join(' or ')}`);
await assertSpace(values.directory, megabytes);
note('building dist');
await buildProgram(AbortSignal.timeout(BUILD_MS));
const directory = await mkdtemp(join(values.directory, 'cofre-bench-'));
try {
  await using cluster = await startCluster({ parent: values.directory, settings: { max_wal_size: '2GB' } });
  const bench = {
    cluster,
    directory,
    config: join(directory, 'config.json'),
    runs: positive(values.runs, '--runs'),
  };
  const sizes = [...new Set([Math.min(SMALL_MEGABYTES, megabytes), megabytes])];
  await configure(bench, sizes);
  console.log(await machine(cluster));
  for (const size of sizes) {
    note(`making a database of ${size} MB`);
    await makeDatabase(cluster, nameOf(size), size);
    const rows: Row[] = [];
    for (const format of formats) rows.push(...(await benchFormat(bench, size, format)));
    console.log(table(size, rows, bench.runs));
    await cluster.psql('postgres', `DROP DATABASE ${nameOf(size)}`);
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
