const STEPS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'] as const;

/** For people, 1024-based with two decimals: `1.00 MB`. Bytes stay whole: `512 B`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let step = 0;
  // What would round to 1024.00 is one of the next unit.
  while (Number(value.toFixed(step === 0 ? 0 : 2)) >= 1024 && step < STEPS.length - 1) {
    value /= 1024;
    step += 1;
  }
  return step === 0 ? `${bytes} B` : `${value.toFixed(2)} ${STEPS[step]}`;
}
