import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessEntry {
  pid: number;
  parent: number;
  /** The command line, its arguments joined by blanks; empty for a zombie. */
  command: string;
}

/** Whether a process exists and has not ended. */
export function isAlive(pid: number): boolean {
  const state = statOf(pid)?.state;
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** Everything that descends from a process now, from /proc. Linux only, as the program's locks are. */
export function descendantsOf(pid: number): ProcessEntry[] {
  const childrenOf = new Map<number, number[]>();
  for (const child of allPids()) {
    const parent = statOf(child)?.parent;
    if (parent === undefined) continue;
    const siblings = childrenOf.get(parent);
    if (siblings === undefined) childrenOf.set(parent, [child]);
    else siblings.push(child);
  }
  const found: ProcessEntry[] = [];
  const parents = [pid];
  for (const parent of parents) {
    for (const child of childrenOf.get(parent) ?? []) {
      parents.push(child);
      // Only of these: the whole is looked at many times a second, on a machine that is at work.
      const command = commandOf(child);
      if (command !== undefined) found.push({ pid: child, parent, command });
    }
  }
  return found;
}

/** Processes of this machine whose command line holds the text. */
export function processesWith(text: string): ProcessEntry[] {
  return allPids().flatMap((pid) => {
    const command = pid === process.pid ? undefined : commandOf(pid);
    if (command === undefined || !command.includes(text) || !isAlive(pid)) return [];
    return { pid, parent: statOf(pid)?.parent ?? 0, command };
  });
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return undefined;
  }
}

function statOf(pid: number): { state: string; parent: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the name in parentheses, which may itself hold blanks and parentheses.
    const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}
