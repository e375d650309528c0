import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Journal } from '../../src/catalogue/journal.ts';
import { type JournalEntry, parseJournalLine } from '../../src/domain/journal-entry.ts';
import { isRoot } from '../support/file-tree.ts';
import { plantLink } from '../support/planted-link.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

const MODULE = join(import.meta.dirname, '../../src/catalogue/journal.ts');

function started(run: string): JournalEntry {
  return {
    event: 'started',
    at: '2026-11-20T02:00:00.000Z',
    run,
    job: 'app',
    trigger: 'schedule',
    actor: 'daemon',
    sources: ['é'.repeat(10)],
  };
}

/** A journal, and the runs its listener was told of. */
function open(path: string) {
  const journal = new Journal(path, undefined);
  const told: string[] = [];
  journal.onEntry((entry) => {
    if (entry.event !== 'scheduled') told.push(entry.run);
  });
  return { journal, told };
}

async function journalPath(): Promise<string> {
  return join(await temporaryDirectory(), 'journal.jsonl');
}

describe('the journal', () => {
  test('holds one line an entry, is readable for its owner alone, and tells each entry once', async () => {
    const path = await journalPath();
    const { journal, told } = open(path);
    await journal.refresh();
    await journal.append(started('a'));
    await journal.append(started('b'));
    await journal.refresh();
    expect(told).toEqual(['a', 'b']);
    const lines = (await readFile(path, 'utf8')).split('\n');
    expect(lines).toHaveLength(3);
    expect(lines.slice(0, 2).map(parseJournalLine)).toEqual([started('a'), started('b')]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test('is the same for whoever reads it later, and tells what others append', async () => {
    const path = await journalPath();
    const first = open(path);
    await first.journal.append(started('a'));
    const second = open(path);
    await second.journal.append(started('b'));
    expect(second.told).toEqual(['a', 'b']);
    await first.journal.refresh();
    expect(first.told).toEqual(['a', 'b']);
    expect(first.journal.histories.of('app').open).toHaveLength(2);
  });

  test('many refreshes at once take each line in once', async () => {
    const path = await journalPath();
    const { journal, told } = open(path);
    await Promise.all([
      journal.append(started('a')),
      journal.refresh(),
      journal.append(started('b')),
      journal.refresh(),
    ]);
    expect(told.toSorted()).toEqual(['a', 'b']);
  });

  test('lines of several processes that append at once never mix', async () => {
    const path = await journalPath();
    const code = `
      const { Journal } = await import(${JSON.stringify(MODULE)});
      const journal = new Journal(${JSON.stringify(path)}, undefined);
      for (let index = 0; index < 60; index += 1) {
        await journal.append({ event: 'started', at: '2026-11-20T02:00:00.000Z', run: process.argv[1] + index,
          job: 'app', trigger: 'cli', actor: 'x', sources: ['s'.repeat(index * 211)] });
      }`;
    const writers = ['a', 'b', 'c'].map((name) =>
      spawn(process.execPath, ['--input-type=module', '-e', code, name], { stdio: 'inherit' }),
    );
    const { journal, told } = open(path);
    const ends = Promise.all(writers.map((writer) => once(writer, 'close')));
    // Reads while it grows.
    while (writers.some(({ exitCode }) => exitCode === null)) {
      await journal.refresh();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await journal.refresh();
    expect((await ends).map(([code_]) => code_ as number)).toEqual([0, 0, 0]);
    expect(journal.tornLines).toBe(0);
    expect(told).toHaveLength(180);
    expect(new Set(told).size).toBe(180);
  });
});

describe('a damaged journal', () => {
  test('a torn last line is closed by the next append, and skipped', async () => {
    const path = await journalPath();
    await open(path).journal.append(started('a'));
    const whole = `${JSON.stringify(started('torn'))}\n`;
    for (const cut of [1, 20, whole.length - 2]) {
      await appendFile(path, whole.slice(0, cut));
      const { journal, told } = open(path);
      await journal.refresh();
      expect(journal.tornLines).toBeGreaterThan(0);
      expect(told).not.toContain('torn');
      await journal.append(started(`after-${cut}`));
      expect(told.at(-1)).toBe(`after-${cut}`);
    }
    const { journal, told } = open(path);
    await journal.refresh();
    expect(told).toEqual(['a', 'after-1', 'after-20', `after-${whole.length - 2}`]);
    expect(journal.tornLines).toBe(3);
  });

  test('a line that is still growing is taken in when it is whole, and once', async () => {
    const path = await journalPath();
    const line = `${JSON.stringify(started('a'))}\n`;
    const { journal, told } = open(path);
    for (let at = 0; at < line.length; at += 40) {
      await appendFile(path, line.slice(at, at + 40));
      await journal.refresh();
    }
    await journal.refresh();
    expect(told).toEqual(['a']);
    expect(journal.tornLines).toBe(0);
  });

  test('what is no entry is counted and stops nothing', async () => {
    const path = await journalPath();
    await writeFile(
      path,
      'garbage\n{"event":"ended","at":"2026-11-20T02:00:00Z","job":"app","run":"r"}\n\n[]\n',
    );
    const { journal, told } = open(path);
    await journal.append(started('a'));
    expect(told).toEqual(['a']);
    expect(journal.tornLines).toBe(3);
  });

  test('lines longer than a read are whole, whatever characters they hold', async () => {
    const path = await journalPath();
    const long = { ...started('long'), sources: ['ü'.repeat(1_500_000)] };
    const { journal, told } = open(path);
    await journal.append(started('a'));
    await journal.append(long);
    await journal.append(started('b'));
    expect(told).toEqual(['a', 'long', 'b']);
    expect(journal.histories.of('app').open[1]).toEqual(long);
  });

  test('one that was cut or replaced is read anew, without telling of the same runs again', async () => {
    const path = await journalPath();
    const { journal, told } = open(path);
    for (const run of ['a', 'b', 'c']) await journal.append(started(run));
    const text = await readFile(path, 'utf8');
    await truncate(path, Buffer.from(text).indexOf('\n') + 1);
    await journal.refresh();
    expect(journal.histories.of('app').open.map((entry) => entry.run)).toEqual(['a']);
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
    await journal.refresh();
    expect(journal.histories.of('app').open.map((entry) => entry.run)).toEqual(['a', 'b', 'c']);
    expect(told).toEqual(['a', 'b', 'c']);
    await journal.append(started('d'));
    expect(told).toEqual(['a', 'b', 'c', 'd']);
  });

  test('after one that was emptied the next run counts', async () => {
    const path = await journalPath();
    const { journal, told } = open(path);
    await journal.append(started('a'));
    await truncate(path, 0);
    await journal.refresh();
    await journal.append(started('b'));
    expect(told).toEqual(['a', 'b']);
    expect(journal.histories.of('app').open.map((entry) => entry.run)).toEqual(['b']);
  });

  test('a link planted in its place is refused, and what it leads to is left as it is', async () => {
    const path = await journalPath();
    const victim = await plantLink(path);
    await writeFile(victim.path, '');
    const before = await victim.state();
    const journal = new Journal(path, isRoot ? { uid: 12_345, gid: 12_346 } : undefined);
    await expect(journal.append(started('a'))).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE', path });
    expect(await victim.state()).toEqual(before);
    await writeFile(victim.path, 'secret');
    await expect(journal.append(started('b'))).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE', path });
    expect(await victim.state()).toMatchObject({ text: 'secret' });
  });

  test('one that cannot be written throws, and the run counts for this process all the same', async () => {
    const path = join(await temporaryDirectory(), 'missing', 'journal.jsonl');
    const { journal, told } = open(path);
    await expect(journal.append(started('a'))).rejects.toMatchObject({ code: 'IO_FAILED' });
    expect(told).toEqual(['a']);
    expect(journal.histories.of('app').open).toHaveLength(1);
  });

  test('whether an entry is on disk is told with it', async () => {
    const path = await journalPath();
    const { journal } = open(path);
    const recorded: boolean[] = [];
    journal.onEntry((_, isRecorded) => recorded.push(isRecorded));
    await journal.append(started('a'));
    await rename(path, `${path}.old`);
    await mkdir(path);
    await expect(journal.append(started('b'))).rejects.toThrow();
    expect(recorded).toEqual([true, false]);
  });

  test('is read on from where it was read to, with torn lines passed over', async () => {
    const path = await journalPath();
    const { journal } = open(path);
    expect(await journal.end()).toBe(0);
    await journal.append(started('a'));
    const place = await journal.end();
    await appendFile(path, '{"event":"started"\n');
    await journal.append(started('b'));
    const readFrom = async (from: number) => {
      const read = [];
      for await (const each of journal.forwards(from)) read.push(each);
      return read;
    };
    expect(await readFrom(place)).toEqual([{ entry: started('b'), place: await journal.end() }]);
    expect(await readFrom(await journal.end())).toEqual([]);
  });
});

describe('the open runs of a job, to who does not follow the journal', () => {
  const ended = (run: string, job = 'app'): JournalEntry => ({
    event: 'ended',
    at: '2026-11-20T02:01:00.000Z',
    run,
    job,
    trigger: 'schedule',
    actor: 'daemon',
    outcome: 'succeeded',
    duration_ms: 60_000,
    archives: [],
    errors: [],
  });

  async function openIn(entries: readonly (JournalEntry | string)[]) {
    const path = await journalPath();
    const lines = entries.map((entry) => (typeof entry === 'string' ? entry : JSON.stringify(entry)));
    await writeFile(path, lines.map((line) => `${line}\n`).join(''));
    const runs = await new Journal(path, undefined).openRunsOf('app');
    const followed = open(path);
    // Who follows it says the same.
    expect(await followed.journal.openRunsOf('app')).toEqual(runs);
    return runs.map(({ run }) => run);
  }

  test.each<[string, (JournalEntry | string)[], string[]]>([
    ['none in an empty journal', [], []],
    ['the one that was started last', [started('a'), ended('a'), started('b')], ['b']],
    ['none when it has its end', [started('a'), ended('a')], []],
    ['whatever other jobs do', [started('a'), ended('b', 'other'), ended('a', 'other')], ['a']],
    ['with a torn line behind it', [started('a'), '{"event":"ended","job":"app","run":"a"'], ['a']],
    ['when its name stands elsewhere', [started('a'), ended('"app"', 'other'), ended('x')], ['a']],
  ])('%s', async (_what, entries, expected) => {
    expect(await openIn(entries)).toEqual(expected);
  });

  test('are found without reading what was before', async () => {
    const path = await journalPath();
    await writeFile(path, `${'x'.repeat(1_000_000)}\n${JSON.stringify(started('a'))}\n`);
    const journal = new Journal(path, undefined);
    expect(await journal.openRunsOf('app')).toHaveLength(1);
    await journal.append(ended('a'));
    expect(await journal.openRunsOf('app')).toEqual([]);
    // As of the last refresh, and there was none.
    expect(journal.histories.names()).toEqual([]);
    expect(journal.tornLines).toBe(0);
  });

  test('are none where there is no journal', async () => {
    expect(await new Journal(await journalPath(), undefined).openRunsOf('app')).toEqual([]);
  });
});
