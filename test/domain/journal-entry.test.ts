import { describe, expect, test } from 'vitest';
import { isTask, type JournalEntry, parseJournalLine } from '../../src/domain/journal-entry.ts';

const AT = '2026-11-20T02:00:00.000Z';
const RUN = { at: AT, run: 'r', job: 'app', trigger: 'schedule', actor: 'daemon' } as const;
const ENTRIES: JournalEntry[] = [
  { event: 'scheduled', at: AT, job: 'app', schedule: '@daily', timezone: 'UTC' },
  { event: 'started', ...RUN, sources: ['app'], due: AT },
  { event: 'ended', ...RUN, outcome: 'succeeded', duration_ms: 1, archives: ['x'], errors: [], removed: [] },
];

describe('a line of the journal', () => {
  test.each(ENTRIES)('$event is read back as it was written', (entry) => {
    expect(parseJournalLine(JSON.stringify(entry))).toEqual(entry);
  });

  test('with fields of a later version keeps them', () => {
    const entry = { ...ENTRIES[1], later: { a: 1 } };
    expect(parseJournalLine(JSON.stringify(entry))).toEqual(entry);
  });

  test('that is torn anywhere is none', () => {
    for (const entry of ENTRIES) {
      const text = JSON.stringify(entry);
      for (let cut = 0; cut < text.length; cut += 1) {
        expect(parseJournalLine(text.slice(0, cut))).toBeUndefined();
        expect(parseJournalLine(text.slice(cut + 1))).toBeUndefined();
      }
    }
  });

  test.each([
    'null',
    '[]',
    '7',
    '{}',
    JSON.stringify({ ...ENTRIES[1], event: 'exploded' }),
    JSON.stringify({ ...ENTRIES[1], at: 'yesterday' }),
    JSON.stringify({ ...ENTRIES[1], run: undefined }),
    JSON.stringify({ ...ENTRIES[2], archives: undefined }),
    JSON.stringify({ ...ENTRIES[2], errors: 'none' }),
    JSON.stringify({ ...ENTRIES[2], removed: {} }),
    JSON.stringify({ ...ENTRIES[2], anomalies: {} }),
    JSON.stringify({ ...ENTRIES[2], anomalies: [null] }),
    JSON.stringify({ ...ENTRIES[2], anomalies: [{ filename: 'x', kinds: 'empty' }] }),
    JSON.stringify({ ...ENTRIES[2], anomalies: [{ kinds: [] }] }),
  ])('%s is none', (line) => {
    expect(parseJournalLine(line)).toBeUndefined();
  });
});

test('maintenance tasks are told from jobs by their names', () => {
  expect(isTask('@prune')).toBe(true);
  expect(isTask('prune')).toBe(false);
});
