import type * as z from 'zod/mini';
import { type ConfigFault, formatPath, HIDDEN, type KeyPath, showAt, showKey, valueAt } from './faults.ts';
import type { ConfigKey } from './json-schema.ts';
import { suggest } from './suggest.ts';

/** Keys of things that are planned: refused, so that nobody believes a backup is encrypted that is not. */
const NOT_BUILT_KEYS = ['encryption'];

type Issue = z.core.$ZodIssue;

/** Every key that the configuration can have; asked for where there is one that it cannot have. */
export type KnownKeys = () => readonly ConfigKey[];

/** The faults behind what zod found in `root`; its messages say what is allowed. */
export function faultsOfIssues(
  root: unknown,
  issues: readonly Issue[],
  known: KnownKeys,
  prefix: KeyPath = [],
): ConfigFault[] {
  return issues.flatMap((issue) => {
    const path = [...prefix, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => unknownKey([...path, key], key, issue.message, known));
    }
    if (issue.code === 'invalid_key') return invalidName(path, issue);
    const branch = issue.code === 'invalid_union' ? meantBranch(issue.errors) : undefined;
    return branch === undefined ? fault(root, path, issue) : faultsOfIssues(root, branch, known, path);
  });
}

/** The branch of a union whose faults all lie deeper, if it is the only one: that is what was meant. */
function meantBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const meant = branches.filter((issues) =>
    issues.every((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys'),
  );
  return meant.length === 1 ? meant[0] : undefined;
}

function fault(root: unknown, path: KeyPath, issue: Issue): ConfigFault {
  const received = showAt(root, path);
  // A reason may quote the value.
  const message = received === HIDDEN ? 'not a valid value' : reasonOf(valueAt(root, path), issue);
  return { path: formatPath(path), received, allowed: issue.message, message };
}

function reasonOf(value: unknown, issue: Issue): string {
  if (value === undefined) return 'missing';
  if (issue.code === 'invalid_type') return issue.expected === 'int' ? 'not a whole number' : 'wrong type';
  if (issue.code === 'too_small' || issue.code === 'too_big') {
    return Array.isArray(value) ? 'empty' : 'out of range';
  }
  if (issue.code === 'custom' && typeof issue.params?.reason === 'string') return issue.params.reason;
  return 'not a valid value';
}

function invalidName(path: KeyPath, issue: z.core.$ZodIssueInvalidKey): ConfigFault {
  return {
    path: formatPath(path),
    received: showKey(String(path.at(-1))),
    allowed: issue.issues[0]?.message ?? '',
    message: 'not a valid name',
  };
}

function unknownKey(path: KeyPath, key: string, allowed: string, known: KnownKeys): ConfigFault {
  const message = unknownKeyReason(path, key, allowed.split(', '), known);
  return { path: formatPath(path), received: showKey(key), allowed, message };
}

function unknownKeyReason(
  path: KeyPath,
  key: string,
  allowedKeys: readonly string[],
  known: KnownKeys,
): string {
  if (NOT_BUILT_KEYS.includes(key)) return notBuilt(key);
  const places = known().filter(({ name }) => name === key);
  // Only the branches of a union that differ in `type` can have a key here and yet not have it.
  if (places.some((place) => place.path === placeOf(path))) return 'this key does not go with this `type`';
  if (places.length > 0) {
    const named = places.map((place) => (place.path === key ? 'the top level' : `\`${place.path}\``));
    return `this key may not stand here, only at ${named.join(' or ')}`;
  }
  const meant = suggest(key, allowedKeys);
  return meant === undefined ? 'unknown key' : `unknown key, did you mean \`${meant}\`?`;
}

/** The path as `configKeys` has it: `jobs.<job>.sources[].name`. */
function placeOf(path: KeyPath): string {
  return path
    .map((key, index) => {
      if (typeof key === 'number') return '[]';
      const name = index === 1 && path[0] === 'jobs' ? '<job>' : String(key);
      return index === 0 ? name : `.${name}`;
    })
    .join('');
}

function notBuilt(name: string): string {
  return `this version of cofre does not have \`${name}\``;
}
