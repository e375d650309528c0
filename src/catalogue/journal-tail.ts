import { parseJournalLine, type RunStarted } from '../domain/journal-entry.ts';
import { linesBackwards } from '../lib/lines-backwards.ts';

/**
 * The run of a job that has no end in a journal, read from its end: years of it need not be read for that. Earlier runs
 * are not looked for, as whoever starts one gives those that died before it their end.
 */
export async function readOpenRun(path: string, job: string): Promise<RunStarted | undefined> {
  const ended = new Set<string>();
  for await (const { line } of linesBackwards(path)) {
    // What is parsed is what may be of this job; its name needs no escapes.
    const entry = line.includes(`"${job}"`) ? parseJournalLine(line) : undefined;
    if (entry?.job !== job) continue;
    if (entry.event === 'ended') ended.add(entry.run);
    if (entry.event === 'started') return ended.has(entry.run) ? undefined : entry;
  }
  return undefined;
}
