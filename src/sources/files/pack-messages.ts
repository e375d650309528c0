import type { ErrorDocument } from '../../domain/errors.ts';
import type { CaptureRemarks } from '../../domain/ports.ts';
import type { PackOptions } from './pack.ts';
import type { SharedRing } from './shared-ring.ts';

/** What the packing thread is started with. */
export interface PackTask {
  options: PackOptions;
  ring: SharedRing;
}

/** What the packing thread posts. Nothing follows `end` and `failed`. */
export type PackMessage =
  | { kind: 'chunk'; bytes: number }
  | { kind: 'end'; remarks: CaptureRemarks }
  | { kind: 'failed'; error: ErrorDocument };
