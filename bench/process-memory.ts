import { readFileSync } from 'node:fs';

/** The most that a process ever had in memory, in bytes: `VmHWM`, see proc(5). Undefined when it is gone. */
export function peakOf(pid: number | undefined): number | undefined {
  return statusBytes(pid, 'VmHWM');
}

/** What a process has in memory now, in bytes: `VmRSS`. Undefined when it is gone. */
export function residentOf(pid: number | undefined): number | undefined {
  return statusBytes(pid, 'VmRSS');
}

function statusBytes(pid: number | undefined, key: string): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const kilobytes = new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}
