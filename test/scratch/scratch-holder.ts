/**
 * Makes something to throw away, prints what it is as a line of JSON, and holds it until its stdin ends or it is
 * killed. Its argument is a `HolderOptions`. Run by the tests of this directory, also without root's rights.
 */
import { clusterScratch } from '../../src/scratch/cluster-scratch.ts';
import { makeScratchDirectory } from '../../src/scratch/scratch-directory.ts';
import { serverScratch } from '../../src/scratch/server-scratch.ts';
import { BackupError } from '../../src/domain/errors.ts';

export interface HolderOptions {
  what: 'directory' | 'cluster' | 'server';
  parent: string;
  /** To become, of what is root now. */
  uid?: number;
  /** Of a server. */
  url?: string;
}

const { what, parent, uid, url = '' } = JSON.parse(process.argv[2] ?? '{}') as HolderOptions;
// Only now, with every module loaded: the checkout may lie where nobody else can read.
if (uid !== undefined) {
  process.setgroups?.([]);
  process.setgid?.(uid);
  process.setuid?.(uid);
}
const { signal } = new AbortController();
const wish = {
  major: 0,
  needs: { roles: [], superusers: [], extensions: [], tablespaces: [] },
  raw_size: 0,
};

async function make(): Promise<AsyncDisposable & { path?: string; url?: string }> {
  switch (what) {
    case 'directory':
      return await makeScratchDirectory(parent, signal);
    case 'cluster':
      return await clusterScratch({ parent })(wish, signal);
    case 'server':
      return await serverScratch({ url })(wish, signal);
    default:
      return what satisfies never;
  }
}

try {
  await using made = await make();
  process.stdout.write(`${JSON.stringify({ path: made.path, url: made.url })}\n`);
  for await (const _ of process.stdin);
} catch (error) {
  if (!(error instanceof BackupError)) throw error;
  process.stdout.write(`${JSON.stringify({ error })}\n`);
}
