import { expect, test } from 'vitest';
import { RemarkCollector } from '../../../src/sources/files/remarks.ts';

test('beyond 10,000 remarks of a kind, one last remark counts the rest', () => {
  const remarks = new RemarkCollector();
  for (let index = 0; index < 10_123; index += 1) remarks.incomplete(`f${index}`, 'unreadable: EACCES');
  remarks.changed('a\xff', 'vanished');
  const { changed, incomplete } = remarks.collected();
  expect(changed).toEqual([{ path: 'a\\xff', reason: 'vanished' }]);
  expect(incomplete).toHaveLength(10_001);
  expect(incomplete.at(-2)).toEqual({ path: 'f9999', reason: 'unreadable: EACCES' });
  expect(incomplete.at(-1)).toEqual({ path: '...', reason: 'and 123 more' });
});
