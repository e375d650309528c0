import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from './open-database.ts';
import { Narrator } from './narrate.ts';
import { tellNextSteps } from './next-steps.ts';
import { type Newest, tellStory } from './story.ts';

/** What ends the demo early; whatever it has started is stopped first. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Tells the story from beginning to end and returns the exit status: 0, or 1 when it was interrupted or a
 * step failed. In every case nothing is left but the folder it has named.
 */
export async function runDemo(): Promise<0 | 1> {
  const stop = new AbortController();
  for (const name of SIGNALS) process.on(name, () => stop.abort(new Error(`interrupted by ${name}`)));
  // As in `npm run demo | head`: without a listener this would end the program, and leave a server behind.
  process.stdout.on('error', () => stop.abort(new Error('nobody reads the output any more')));
  const narrator = new Narrator(process.stdout);
  let folder: string | undefined;
  try {
    let newest: Newest;
    {
      await using database = await openDatabase(process.env.COFRE_DEMO_DATABASE ?? '', stop.signal);
      folder = await mkdtemp(join(tmpdir(), 'cofre-demo-'));
      newest = await tellStory({ database, folder, narrator, signal: stop.signal });
    }
    tellNextSteps(narrator, folder, newest);
    return 0;
  } catch (error) {
    // What fails after an interruption fails because of it.
    const reason: unknown = stop.signal.aborted ? stop.signal.reason : error;
    const text = reason instanceof Error ? reason.message : String(reason);
    console.error(`\nThe demo did not come to its end: ${text}`);
    console.error('Everything it had started is stopped.');
    if (folder !== undefined) console.error(`What it wrote so far is left in ${folder}`);
    return 1;
  }
}
