import { rm, stat } from 'node:fs/promises';
import { isOnPath } from '../tools/server-programs.ts';
import type { Contestant, Sample } from './alternate.ts';
import { measure } from './measure.ts';
import { absentRow, type Named, ratioRow, type Row } from './row.ts';
import { type Workbench } from './workbench.ts';

/** Programs of peers, and the Debian package of each. */
const PACKAGES: Readonly<Record<string, string>> = {
  bash: 'bash',
  gzip: 'gzip',
  pigz: 'pigz',
  restic: 'restic',
  sha256sum: 'coreutils',
  tar: 'tar',
  zstd: 'zstd',
};

/** What one would do without us, as a line of bash. */
export interface Peer {
  /** As it is shown. */
  name: string;
  /** As it is run: it finds what it works on, and where to write to, in variables. */
  script: string;
  /** Programs of the table of packages. */
  needs: readonly string[];
  /** Run before each run, not timed. */
  before?: string;
  /** Of the ratio of ours to theirs. */
  atMost?: number;
}

export interface Compared {
  area: string;
  work: string;
  ours: Contestant;
  peers: readonly Peer[];
  /** The variables of the scripts; what lies at `OUT` is removed after each run. */
  env: Readonly<Record<string, string>> & { OUT: string };
  remarks?: readonly string[];
}

/** Runs ours and every peer that is installed in turn; one row for each peer. */
export async function compare(bench: Workbench, compared: Compared): Promise<Row[]> {
  const { ours, peers, env } = compared;
  const present = peers.filter(({ needs }) => missing(needs).length === 0);
  const [samples = [], ...others] =
    present.length === 0
      ? []
      : await bench.alternate(ours, ...present.map((peer) => contestant(bench, peer, env)));
  return peers.map((peer) => {
    const named = namedBy(compared, peer);
    const lacking = missing(peer.needs);
    if (lacking.length > 0) {
      return absentRow(named, 'not compared', `install ${lacking.map((name) => PACKAGES[name]).join(', ')}`);
    }
    return ratioRow(named, samples, others[present.indexOf(peer)] ?? [], peer.atMost);
  });
}

/** A row for each peer that says why there is no comparison. */
export function absent(
  compared: Omit<Compared, 'ours' | 'env'>,
  verdict: 'not compared' | 'not built',
  why: string,
): Row[] {
  return compared.peers.map((peer) => absentRow(namedBy(compared, peer), verdict, why));
}

function namedBy({ area, work, remarks }: Omit<Compared, 'ours' | 'env'>, { name }: Peer): Named {
  return { area, work, against: name, ...(remarks === undefined ? {} : { remarks }) };
}

function missing(programs: readonly string[]): string[] {
  return ['bash', ...programs].filter((program) => !isOnPath(program));
}

function contestant(bench: Workbench, { name, script, before }: Peer, env: Compared['env']): Contestant {
  const shell = async (text: string) =>
    // A pipeline that breaks in its middle is no measure of anything.
    await measure(['bash', '-c', `set -eo pipefail; ${text}`], { env, signal: bench.signal });
  return {
    name,
    prepare: async () => {
      if (before !== undefined) await shell(before);
    },
    run: async (): Promise<Sample> => {
      const { wall_ms } = await shell(script);
      const stored = await stat(env.OUT).catch(() => undefined);
      return stored?.isFile() === true ? { wall_ms, stored_bytes: stored.size } : { wall_ms };
    },
    clear: () => rm(env.OUT, { recursive: true, force: true }),
  };
}
