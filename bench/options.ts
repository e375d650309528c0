import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Area } from './area.ts';

const RESULTS = join(import.meta.dirname, 'results');
const RUNS_AT_LEAST = 5;

export interface Options {
  areas: readonly Area[];
  /** Of each contestant, after one to warm up. */
  runs: number;
  scale: number;
  isQuick: boolean;
  /** Everything is made below it, and removed. */
  directory: string;
  /** Path of the results without `.json` and `.md`. */
  output: string;
}

/** Options of the command line. Throws, saying what is allowed. */
export function parseOptions(args: readonly string[], all: readonly Area[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      scale: { type: 'string', default: '1' },
      only: { type: 'string', multiple: true, default: [] },
      directory: { type: 'string', default: tmpdir() },
      output: { type: 'string' },
    },
  });
  if (positionals.length > 0 && values.only.length === 0) {
    throw new Error(`${positionals.join(' ')} is not expected: names of areas follow --only`);
  }
  const names = [...values.only, ...positionals].flatMap((text) => text.split(','));
  const areas = chooseAreas(names, all);
  const runs = runsOf(values.runs, values.quick);
  const scale = Number(values.scale);
  if (!(scale > 0 && scale <= 100)) {
    throw new Error(`--scale is ${JSON.stringify(values.scale)}: it takes a number above 0, up to 100`);
  }
  const isQuick = values.quick || scale < 1;
  const kind = isQuick ? 'quick' : names.length > 0 ? 'partial' : 'latest';
  const { directory, output = join(RESULTS, kind) } = values;
  return { areas, runs, scale, isQuick, directory, output };
}

/** Those named, or whose names begin with one given and a hyphen; all when none is given. */
function chooseAreas(names: readonly string[], all: readonly Area[]): Area[] {
  const fits = (name: string) => (area: Area) => area.name === name || area.name.startsWith(`${name}-`);
  const unknown = names.find((name) => !all.some(fits(name)));
  if (unknown !== undefined) {
    throw new Error(`--only takes ${all.map(({ name }) => name).join(', ')}, not ${JSON.stringify(unknown)}`);
  }
  return all.filter((area) => names.length === 0 || names.some((name) => fits(name)(area)));
}

function runsOf(text: string | undefined, isQuick: boolean): number {
  if (text === undefined) return isQuick ? 1 : RUNS_AT_LEAST;
  const runs = Number(text);
  if (!Number.isInteger(runs) || runs < 1) {
    throw new Error(`--runs is ${JSON.stringify(text)}: it takes a whole number above 0`);
  }
  if (runs < RUNS_AT_LEAST && !isQuick) {
    throw new Error(`--runs is ${runs}: fewer than ${RUNS_AT_LEAST} are only for a --quick look`);
  }
  return runs;
}
