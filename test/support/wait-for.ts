const POLL_MS = 25;

/** Thrown by a probe when what is waited for cannot happen any more. */
export class InVain extends Error {
  override readonly name = 'InVain';
}

/** Waits until `probe` returns something other than undefined and false; throws with `what` and its last error. */
export async function waitFor<T>(
  what: string,
  probe: () => T | Promise<T>,
  timeout_ms = 20_000,
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + timeout_ms;
  for (;;) {
    let cause: unknown;
    try {
      const found = await probe();
      if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
    } catch (error) {
      if (error instanceof InVain) throw error;
      cause = error;
    }
    if (performance.now() > deadline) throw new Error(`waited ${timeout_ms} ms for ${what}`, { cause });
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
