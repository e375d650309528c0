import cliProgress, { type Options, type Params, type SingleBar } from 'cli-progress';
import { formatDuration } from '../domain/duration.ts';
import { formatSize } from '../domain/size.ts';

/** Tells a person at a terminal how far long work is; silent anywhere else. */
export interface Progress extends Disposable {
  /** Whether there is anybody to tell. */
  readonly isShown: boolean;
  /** Begins the next piece of work. @param total_bytes where it is known, from the last time. */
  begin(label: string, total_bytes: number | undefined): void;
  advance(bytes: number): void;
}

export function openProgress(enabled: boolean): Progress {
  return enabled && process.stderr.isTTY ? new TerminalProgress() : SILENT;
}

/** For work in steps that tells sums: a bar for each step, told apart by its label. */
export function stepProgress(
  progress: Progress,
): (label: string, now: { bytes: number; total_bytes?: number }) => void {
  let current = '';
  let seen_bytes = 0;
  return (label, { bytes, total_bytes }) => {
    if (label !== current) {
      current = label;
      seen_bytes = 0;
      progress.begin(label, total_bytes);
    }
    // A retry begins again at nothing.
    if (bytes > seen_bytes) progress.advance(bytes - seen_bytes);
    seen_bytes = bytes;
  };
}

const SILENT: Progress = {
  isShown: false,
  begin: () => undefined,
  advance: () => undefined,
  [Symbol.dispose]: () => undefined,
};

class TerminalProgress implements Progress {
  readonly isShown = true;
  #bar: SingleBar | undefined;
  #bytes = 0;
  #known = false;

  begin(label: string, total_bytes: number | undefined): void {
    this.#bar?.stop();
    this.#bytes = 0;
    this.#known = total_bytes !== undefined && total_bytes > 0;
    this.#bar = new cliProgress.SingleBar({
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      format: this.#line,
    });
    this.#bar.start(total_bytes ?? 0, 0, { label });
  }

  advance(bytes: number): void {
    this.#bytes += bytes;
    // A database that has grown since last time must not end up beyond its total.
    if (this.#bytes > (this.#bar?.getTotal() ?? 0)) this.#bar?.setTotal(this.#bytes);
    this.#bar?.update(this.#bytes);
  }

  [Symbol.dispose](): void {
    this.#bar?.stop();
  }

  readonly #line = (
    options: Options,
    { progress, value, total, startTime }: Params,
    { label }: { label: string },
  ) => {
    const elapsed_ms = Math.max(1, Date.now() - startTime);
    const rate = (value / elapsed_ms) * 1000;
    const parts = [label, formatSize(value), `${formatSize(Math.round(rate))}/s`];
    if (!this.#known) return parts.join('  ');
    const left = rate > 0 ? `${formatDuration(((total - value) / rate) * 1000)} left` : '';
    return [
      cliProgress.Format.BarFormat(progress, options),
      `${Math.floor(progress * 100)} %`,
      ...parts,
      left,
    ].join('  ');
  };
}
