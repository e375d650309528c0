/**
 * Compares cofre with what one would use instead, and with its limits, on data that it makes and removes:
 *
 *   npm run bench -- [--only NAME…] [--runs 5] [--quick] [--scale 1] [--directory DIR] [--output BASE]
 *
 * Prints a table, and writes it as JSON and Markdown. It is no test: falling short is no failure of it.
 */
import type { Area } from './area.ts';
import { DATABASE_AREAS } from './database-areas.ts';
import { FILES_AREAS } from './files-areas.ts';
import { GROWTH_AREAS } from './growth-areas.ts';
import { describeMachine } from './machine.ts';
import { MEMORY_AREAS } from './memory-areas.ts';
import { type Options, parseOptions } from './options.ts';
import { buildProgram } from './program.ts';
import { formatReport, type Report, writeReport } from './report.ts';
import { absentRow, type Row } from './row.ts';
import { VERIFY_AREAS } from './verify-areas.ts';
import { note, Workbench } from './workbench.ts';

const AREAS: readonly Area[] = [
  ...DATABASE_AREAS,
  ...VERIFY_AREAS,
  ...FILES_AREAS,
  ...GROWTH_AREAS,
  ...MEMORY_AREAS,
];
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const STATUS_USAGE = 2;
const STATUS_STOPPED = 130;
/** Of a message in the table; stderr has all of it. */
const MESSAGE_CHARS = 200;

async function runBench(options: Options, signal: AbortSignal): Promise<Report> {
  const { areas, directory, runs, scale, isQuick } = options;
  note('building dist');
  await buildProgram(signal);
  const machine = await describeMachine(directory, signal);
  await using bench = await Workbench.open({ parent: directory, runs, scale, signal });
  const rows: Row[] = [];
  for (const area of areas) rows.push(...(await runArea(area, bench)));
  return { at: new Date().toISOString(), runs, scale, quick_look: isQuick, machine, rows };
}

/** One that fails is told in the table, and does not take the others with it. */
async function runArea(area: Area, bench: Workbench): Promise<Row[]> {
  const named = { area: area.name, work: area.name, against: '' };
  if (area.needsServer && !Workbench.hasServer) {
    return [absentRow(named, 'not compared', 'install postgresql')];
  }
  note(area.name);
  try {
    return await bench.within(area.name, () => area.run(bench));
  } catch (error) {
    bench.signal.throwIfAborted();
    const { message } = error as Error;
    note(`${area.name} failed: ${message}`);
    return [absentRow(named, 'failed', message.replaceAll(/\s+/g, ' ').slice(0, MESSAGE_CHARS))];
  }
}

async function main(options: Options): Promise<number> {
  const stop = new AbortController();
  for (const name of STOP_SIGNALS) process.on(name, () => stop.abort(new Error(`stopped by ${name}`)));
  try {
    const report = await runBench(options, stop.signal);
    console.log(formatReport(report));
    for (const path of await writeReport(report, options.output, stop.signal)) note(`written: ${path}`);
    return report.rows.some(({ verdict }) => verdict === 'failed') ? 1 : 0;
  } catch (error) {
    note(
      stop.signal.aborted
        ? `${(stop.signal.reason as Error).message}; everything is removed`
        : (error as Error).message,
    );
    return stop.signal.aborted ? STATUS_STOPPED : 1;
  }
}

function optionsOrUndefined(): Options | undefined {
  try {
    return parseOptions(process.argv.slice(2), AREAS);
  } catch (error) {
    console.error((error as Error).message);
    return undefined;
  }
}

const options = optionsOrUndefined();
process.exitCode = options === undefined ? STATUS_USAGE : await main(options);
