import type { ErrorDocument } from '../../domain/errors.ts';
import type { CaptureRemarks } from '../../domain/ports.ts';
import type { PackOptions } from './pack.ts';

/** What the packing thread is started with. */
export interface PackTask {
  options: PackOptions;
  /** One counter, shared: chunks posted and not yet done with. The thread waits on it. */
  inFlight: Int32Array;
}

/** What the packing thread posts. Nothing follows `end` and `failed`. */
export type PackMessage =
  | { kind: 'chunk'; chunk: Uint8Array<ArrayBuffer> }
  | { kind: 'end'; remarks: CaptureRemarks }
  | { kind: 'failed'; error: ErrorDocument };
