import { expect, test } from 'vitest';
import { isAboutRoles } from '../../src/domain/dump-survey.ts';

test.each([
  ['OWNER TABLE public.a', true],
  ['ACL TABLE public.a', true],
  ['DEFAULT ACL public.DEFAULT PRIVILEGES FOR TABLES', true],
  ['TABLE public.OWNER a', false],
  ['TABLE ACL .a', false],
  ['DEFAULT public.a', false],
  ['preamble', false],
])('%s is about roles: %s', (key, expected) => {
  expect(isAboutRoles(key)).toBe(expected);
});
