import { readFileSync } from 'node:fs';

/** Reaching what modes forbid (CAP_DAC_OVERRIDE) and changing what belongs to others (CAP_FOWNER): capabilities(7). */
const NEEDED = 0b1010n;
let privileged: boolean | undefined;

/** Whether modes and owners do not stop this process. A hardened service may be root and be stopped by both. */
export function isPrivileged(): boolean {
  privileged ??= (effectiveCapabilities() & NEEDED) === NEEDED;
  return privileged;
}

function effectiveCapabilities(): bigint {
  const [, mask = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  return BigInt(`0x${mask}`);
}
