/** What no single value of `notify` shows. Works on the file as it was read, as cross-checks.ts does. */
import { asRecord, type RawSource, rawNotify } from './cross-checks.ts';
import { type ConfigFault, formatPath, HIDDEN, type KeyPath, show } from './faults.ts';

/** Names used twice, jobs that there are not, and passwords that would go unencrypted or to nobody. */
export function checkNotify(root: unknown): ConfigFault[] {
  const notifiers = rawNotify(root);
  const jobs = new Set(Object.keys(asRecord(asRecord(root).jobs)));
  return [
    ...repeatedNames(notifiers),
    ...notifiers.flatMap((notifier) => [...unknownJobs(notifier, jobs), ...smtpFaults(notifier)]),
  ];
}

/**
 * The names of all notifiers in order: their own, or their type, with a number from the second of them on. A
 * further one at the end changes no name, and so nothing of what is remembered under it.
 */
export function notifierNames(notifiers: readonly { name?: unknown; type?: unknown }[]): string[] {
  const counts = new Map<string, number>();
  return notifiers.map(({ name, type }) => {
    if (typeof name === 'string') return name;
    const kind = String(type);
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return count === 1 ? kind : `${kind}-${count}`;
  });
}

function repeatedNames(notifiers: readonly RawSource[]): ConfigFault[] {
  const names = notifierNames(notifiers.map(({ source }) => source));
  const firstUse = new Map<string, KeyPath>();
  return notifiers.flatMap(({ path }, index) => {
    const name = names[index] ?? '';
    const first = firstUse.get(name);
    if (first === undefined) {
      firstUse.set(name, path);
      return [];
    }
    const message = `already the name of ${formatPath(first)}`;
    const allowed = 'a name that no other notifier has';
    return [{ path: formatPath([...path, 'name']), received: show(name), allowed, message }];
  });
}

function unknownJobs({ path, source }: RawSource, jobs: ReadonlySet<string>): ConfigFault[] {
  if (!Array.isArray(source.jobs)) return [];
  return source.jobs.flatMap((name: unknown, index) => {
    if (typeof name !== 'string' || jobs.has(name)) return [];
    const allowed = jobs.size === 0 ? 'no name, for there is no job' : [...jobs].join(', ');
    return [
      {
        path: formatPath([...path, 'jobs', index]),
        received: show(name),
        allowed,
        message: 'there is no job of this name',
      },
    ];
  });
}

function smtpFaults({ path, source }: RawSource): ConfigFault[] {
  if (source.type !== 'email') return [];
  const { user, password, tls, ca } = asRecord(source.smtp);
  const at = (key: string) => formatPath([...path, 'smtp', key]);
  const faults: ConfigFault[] = [];
  if (tls === 'none' && user !== undefined) {
    faults.push({
      path: at('tls'),
      received: show(tls),
      allowed: '"starttls", "implicit"; or no `user` and `password`',
      message: 'the password would be sent in clear text',
    });
  }
  if (tls === 'none' && ca !== undefined) {
    const message = 'without TLS there is no certificate to check';
    faults.push({ path: at('ca'), received: show(ca), allowed: 'nothing beside `"tls": "none"`', message });
  }
  if (user !== undefined && password === undefined) {
    const message = 'missing beside `user`';
    faults.push({ path: at('password'), received: 'nothing', allowed: 'a reference to a secret', message });
  }
  if (user === undefined && password !== undefined) {
    const message = 'there is no `user` whose it is';
    faults.push({ path: at('password'), received: HIDDEN, allowed: '`user` beside it, or nothing', message });
  }
  return faults;
}
