/** What no single value of `http` shows. Works on the file as it was read, as cross-checks.ts does. */
import { rawHttp } from './cross-checks.ts';
import { type ConfigFault, formatPath, type KeyPath, show, valueAt } from './faults.ts';

/** Names used twice, an address beside a socket, and metrics that nobody could read. */
export function checkHttp(root: unknown): ConfigFault[] {
  const { tokens, restoreTargets } = rawHttp(root);
  return [
    ...repeatedNames(tokens, 'a name that no other token has'),
    ...repeatedNames(restoreTargets, 'a name that no other target has'),
    ...addressBesideSocket(root),
    ...unreadableMetrics(root, tokens),
  ];
}

interface Entry {
  path: KeyPath;
  source: Record<string, unknown>;
}

function repeatedNames(entries: readonly Entry[], allowed: string): ConfigFault[] {
  const firstUse = new Map<string, KeyPath>();
  return entries.flatMap(({ path, source: { name } }) => {
    if (typeof name !== 'string') return [];
    const first = firstUse.get(name);
    if (first === undefined) {
      firstUse.set(name, path);
      return [];
    }
    const message = `already the name of ${formatPath(first)}`;
    return [{ path: formatPath([...path, 'name']), received: show(name), allowed, message }];
  });
}

function addressBesideSocket(root: unknown): ConfigFault[] {
  if (valueAt(root, ['http', 'socket']) === undefined) return [];
  return (['host', 'port'] as const).flatMap((key) => {
    const value = valueAt(root, ['http', key]);
    if (value === undefined) return [];
    return [
      {
        path: formatPath(['http', key]),
        received: show(value),
        allowed: 'nothing beside `socket`',
        message: 'with `socket` no address is listened on',
      },
    ];
  });
}

function unreadableMetrics(root: unknown, tokens: readonly Entry[]): ConfigFault[] {
  const value = valueAt(root, ['http', 'metrics']);
  if (value !== 'token') return [];
  const isReadable = tokens.some(
    ({ source: { scopes } }) =>
      Array.isArray(scopes) && (scopes.includes('metrics') || scopes.includes('read')),
  );
  if (isReadable) return [];
  return [
    {
      path: 'http.metrics',
      received: show(value),
      allowed: '"public", or a token with the scope `metrics` or `read` in `http.tokens`',
      message: 'no token could read the metrics',
    },
  ];
}
