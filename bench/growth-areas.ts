/** What a long list of backups costs. */
import { rm } from 'node:fs/promises';
import { medianOf, type Sample } from './alternate.ts';
import type { Area } from './area.ts';
import { Daemon } from './daemon.ts';
import { measure } from './measure.ts';
import type { Program, Setup } from './program.ts';
import { limitRow, ratioRow, type Row } from './row.ts';
import { makeStock, makeTinySetup } from './stock.ts';
import { note, type Workbench } from './workbench.ts';

const LISTED = 1_000;
const START_RATIO_AT_MOST = 4;
const GROWN = 10_000;
const ADDING_AT_MOST_MS = 50;
const METRICS_AT_MOST_MS = 50;
const LIST_AT_MOST_MS = 1_000;

export const GROWTH_AREAS: readonly Area[] = [
  { name: 'list', needsServer: true, run: compareStart },
  { name: 'growth', needsServer: true, run: measureGrowth },
];

async function compareStart(bench: Workbench): Promise<Row[]> {
  const archives = scaled(LISTED, bench);
  const setup = await makeStock(bench, 'list', archives);
  const [ours = [], theirs = []] = await bench.alternate(listing(bench, setup), {
    name: 'node -e 0',
    run: async () => {
      const { wall_ms } = await measure([process.execPath, '-e', '0'], { signal: bench.signal });
      return { wall_ms };
    },
  });
  const work = `\`node dist/main.js list\` on ${count(archives)}, start to exit`;
  return [ratioRow({ area: 'list', work, against: 'node -e 0' }, ours, theirs, START_RATIO_AT_MOST)];
}

async function measureGrowth(bench: Workbench): Promise<Row[]> {
  const archives = scaled(GROWN, bench);
  note(`making a catalogue of ${count(archives)}`);
  const grown = await makeStock(bench, 'grown', archives);
  const empty = await makeTinySetup(bench, 'empty');
  const [atGrown = [], atEmpty = [], lists = []] = await bench.alternate(
    adding(bench.program, grown, 'grown'),
    adding(bench.program, empty, 'empty'),
    listing(bench, grown),
  );
  const area = 'growth';
  const excess_ms = atGrown.map(({ wall_ms }, run) => wall_ms - (atEmpty[run]?.wall_ms ?? Number.NaN));
  return [
    limitRow(
      {
        area,
        work: `adding a backup to ${count(archives)}, above adding it to none`,
        against: 'limit',
        remarks: [
          `whole \`cofre backup\` of a tiny database: ${seconds(atGrown)}, with an empty catalogue ${seconds(atEmpty)}`,
        ],
      },
      'ms',
      excess_ms,
      ADDING_AT_MOST_MS,
    ),
    ...(await measureMetrics(bench, grown, archives)),
    limitRow(
      { area, work: `\`cofre list\` of ${count(archives)}, start to exit`, against: 'limit' },
      'ms',
      lists.map(({ wall_ms }) => wall_ms),
      LIST_AT_MOST_MS,
    ),
  ];
}

/** Answers of `/metrics`: each first one after a backup was added, and the one after it. */
async function measureMetrics(bench: Workbench, grown: Setup, archives: number): Promise<Row[]> {
  await using daemon = await Daemon.start(bench.program.command(grown, 'daemon'), bench.signal);
  const afterChange_ms: number[] = [];
  const unchanged_ms: number[] = [];
  for (let run = 0; run <= bench.runs; run += 1) {
    const { manifest } = await bench.program.backup(grown);
    const answers_ms = [await answerTime(daemon), await answerTime(daemon)];
    await removeBackup(grown, manifest.filename, manifest.filepath);
    if (run === 0) continue;
    afterChange_ms.push(answers_ms[0] ?? Number.NaN);
    unchanged_ms.push(answers_ms[1] ?? Number.NaN);
  }
  const work = `answer of \`/metrics\` with ${count(archives)}`;
  const named = { area: 'growth', against: 'limit' };
  return [
    limitRow({ ...named, work: `${work}, a backup just added` }, 'ms', afterChange_ms, METRICS_AT_MOST_MS),
    limitRow({ ...named, work: `${work}, nothing changed` }, 'ms', unchanged_ms, METRICS_AT_MOST_MS),
  ];
}

async function answerTime(daemon: Daemon): Promise<number> {
  const from = performance.now();
  const response = await fetch(`${daemon.url}/metrics`);
  const text = await response.text();
  if (!response.ok) throw new Error(`/metrics answered ${response.status}: ${text}`);
  return performance.now() - from;
}

function listing({ program }: Workbench, setup: Setup) {
  return {
    name: 'list',
    run: async () => {
      const { wall_ms } = await program.run(setup, 'list');
      return { wall_ms };
    },
  };
}

/** Adds one backup, and takes it away again. Its verification is part of adding it. */
function adding(program: Program, setup: Setup, name: string) {
  let added: string | undefined;
  return {
    name,
    run: async () => {
      const { wall_ms, stdout } = await program.run(setup, 'backup', setup.job, '--json');
      const answer = JSON.parse(stdout) as { runs: { archives: { filename: string }[] }[] };
      added = answer.runs[0]?.archives[0]?.filename;
      return { wall_ms };
    },
    clear: async () => {
      // By the program: an index that is behind something else would be written as a whole by the next backup.
      if (added !== undefined) await program.run(setup, 'delete', added);
    },
  };
}

async function removeBackup({ location }: Setup, filename: string, filepath: string): Promise<void> {
  await rm(`${location}/manifests/${filename}.json`);
  await rm(filepath);
}

function scaled(archives: number, { scale }: Workbench): number {
  return Math.max(2, Math.round(archives * scale));
}

function count(archives: number): string {
  return `${archives.toLocaleString('en')} archives`;
}

function seconds(samples: readonly Sample[]): string {
  return `${((medianOf(samples, 'wall_ms') ?? Number.NaN) / 1000).toFixed(3)} s`;
}
