import type { LogLine } from './daemon-process.ts';
import type { RowCounts } from './shop.ts';

/** The shop's database, wherever it lives. */
export interface ShopDatabase extends AsyncDisposable {
  /** What it is, in sentences. */
  readonly introduction: string;
  /** For the configuration. */
  readonly url: string;
  /** What starts a daemon that can read it: a script and arguments, relative to the checkout. */
  readonly daemon: readonly string[];
  /** The same as a person would type it. */
  readonly daemonCommand: string;
  /** What to know about its archives, where it differs from the usual. */
  readonly caveat?: string;
  /** Whether this machine has a server to restore its archives into. */
  readonly drillable: boolean;
  /** The rows the daemon backed up. */
  sourceRows(log: readonly LogLine[]): Promise<RowCounts>;
  /** As a person would type it. */
  restoreCommand(archive: string): string;
  /** Restores a gzipped dump into a fresh database, without cofre; the rows found there. */
  restore(archive: string, signal: AbortSignal): Promise<RowCounts>;
}
