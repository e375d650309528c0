const POLL_MS = 25;

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
      cause = error;
    }
    if (performance.now() > deadline) throw new Error(`waited ${timeout_ms} ms for ${what}`, { cause });
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
