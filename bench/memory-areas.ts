/** What the daemon takes of memory: while idle, while it handles much, and after many runs. */
import { setTimeout } from 'node:timers/promises';
import type { Area } from './area.ts';
import { Daemon } from './daemon.ts';
import { makeSparseFile, makeTinyFiles } from './file-trees.ts';
import { median } from './measure.ts';
import { makeSetup, type SetupOptions } from './program.ts';
import { limitRow, megabytes, type Row } from './row.ts';
import { makeWideDatabase } from './shop-database.ts';
import { makeTinySetup } from './stock.ts';
import { note, type Workbench } from './workbench.ts';

const PEAK_AT_MOST_BYTES = 220e6;
const IDLE_AT_MOST_BYTES = 90e6;
/** What chance does to the collector: of a leak, 25 kB a run show. */
const GROWTH_AT_MOST_BYTES = 5e6;
const STREAM_BYTES = 10e9;
const FILES = 500_000;
/** Until the second of them V8 still compiles what is used often, and `malloc` touches what it holds ready. */
const RUNS = { cold: 20, early: 200, late: 400 };
/** The collector frees when it likes: the median of as many runs stands for the last of them. */
const WINDOW = 10;
/** Until what the start left behind is collected. */
const IDLE_AFTER_MS = 5_000;
const EACH_SECOND = '* * * * * *';
/** Each backup that is listed takes a few kilobytes, which is no leak: of these runs, a few are kept. */
const KEEPS_FEW = { schedule: '*/2 * * * * *', days: 0, keepLast: 5 };
const TREE = 'tree';

export const MEMORY_AREAS: readonly Area[] = [
  { name: 'memory-idle', needsServer: true, run: measureIdle },
  { name: 'memory-stream', needsServer: true, run: measureStreams },
  { name: 'memory-files', needsServer: false, run: measureFiles },
  { name: 'memory-runs', needsServer: true, run: measureRuns },
];

async function measureIdle(bench: Workbench): Promise<Row[]> {
  const setup = await makeTinySetup(bench, 'idle');
  const resident_bytes: number[] = [];
  for (let run = 0; run < bench.runs; run += 1) {
    await using daemon = await Daemon.start(bench.program.command(setup, 'daemon'), bench.signal);
    await setTimeout(IDLE_AFTER_MS, undefined, { signal: bench.signal });
    resident_bytes.push(daemon.resident_bytes);
  }
  const work = `RSS of the daemon ${IDLE_AFTER_MS / 1000} s after its start, idle`;
  return [
    limitRow({ area: 'memory-idle', work, against: 'limit' }, 'bytes', resident_bytes, IDLE_AT_MOST_BYTES),
  ];
}

async function measureStreams(bench: Workbench): Promise<Row[]> {
  const bytes = STREAM_BYTES * bench.scale;
  const cluster = await bench.cluster();
  note(`making a database whose dump has ${megabytes(bytes)}`);
  await makeWideDatabase(cluster, 'wide', bytes);
  const dump = { type: 'postgres', name: 'wide', url: cluster.urlOf('wide') };
  const rows: Row[] = [];
  for (const compression of ['zstd', 'gzip'] as const) {
    const options = { source: dump, compression };
    rows.push(await peakRow(bench, 'memory-stream', `a dump of ${megabytes(bytes)}`, options));
  }
  await cluster.psql('postgres', 'DROP DATABASE wide');
  await makeSparseFile(bench.path(`${TREE}/sparse.dat`), Math.round(bytes));
  const source = { type: 'files', name: 'files', directories: [bench.path(TREE)] };
  rows.push(await peakRow(bench, 'memory-stream', `a sparse file of ${megabytes(bytes)}`, { source }));
  return rows;
}

async function measureFiles(bench: Workbench): Promise<Row[]> {
  const files = Math.max(1, Math.round(FILES * bench.scale));
  note(`making ${files.toLocaleString('en')} files`);
  await makeTinyFiles(bench.path(TREE), files, bench.signal);
  const source = { type: 'files', name: 'files', directories: [bench.path(TREE)] };
  return [await peakRow(bench, 'memory-files', `${files.toLocaleString('en')} files`, { source })];
}

/** The peak of a daemon that makes one backup and verifies it. */
async function peakRow(bench: Workbench, area: string, what: string, options: SetupOptions): Promise<Row> {
  const compression = options.compression ?? 'zstd';
  note(`${area}: ${what}, ${compression}`);
  const setup = await makeSetup(bench.directory, 'memory', { ...options, schedule: EACH_SECOND });
  const from = performance.now();
  await using daemon = await Daemon.start(bench.program.command(setup, 'daemon'), bench.signal);
  await daemon.ranTo(1);
  const took = `${((performance.now() - from) / 1000).toFixed(1)} s from the start of the daemon`;
  const children = `its child processes took ${megabytes(daemon.childrenPeak_bytes)} at most`;
  const row = limitRow(
    {
      area,
      work: `peak RSS of the daemon with its threads, backup and verification of ${what}, ${compression}`,
      against: 'limit',
      remarks: [`one run, ${took}; ${children}`],
    },
    'bytes',
    [daemon.peak_bytes],
    PEAK_AT_MOST_BYTES,
  );
  await daemon[Symbol.asyncDispose]();
  await bench.program.clear(setup);
  return row;
}

async function measureRuns(bench: Workbench): Promise<Row[]> {
  const cold = Math.max(1, Math.round(RUNS.cold * bench.scale));
  const early = Math.max(1, Math.round(RUNS.early * bench.scale));
  const late = Math.max(early + 1, Math.round(RUNS.late * bench.scale));
  note(`memory-runs: ${late} runs, one a second`);
  const setup = await makeTinySetup(bench, 'runs', { schedule: EACH_SECOND, retention: KEEPS_FEW });
  await using daemon = await Daemon.start(bench.program.command(setup, 'daemon'), bench.signal);
  const after_bytes: number[] = [];
  for (let run = 1; run <= late; run += 1) {
    await daemon.ranTo(run);
    after_bytes.push(daemon.resident_bytes);
  }
  const at = (run: number) => median(after_bytes.slice(Math.max(0, run - WINDOW), run));
  const remark = `RSS ${megabytes(at(cold))} after ${cold} runs, ${megabytes(at(early))} after ${early}, ${megabytes(at(late))} after ${late}, each the median of up to ${WINDOW} runs; peak ${megabytes(daemon.peak_bytes)}`;
  return [
    limitRow(
      {
        area: 'memory-runs',
        work: `growth of the daemon's RSS from run ${early} to run ${late} of a tiny database, of which few are kept`,
        against: 'limit',
        remarks: [remark],
      },
      'bytes',
      [at(late) - at(early)],
      GROWTH_AT_MOST_BYTES,
    ),
  ];
}
