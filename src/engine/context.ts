import type { Catalogue } from '../catalogue/catalogue.ts';
import type { Journal } from '../catalogue/journal.ts';
import type { Location } from '../catalogue/location.ts';
import type { CompressionType } from '../domain/manifest.ts';
import type { Clock, Codec, CodecOptions, OpenInspector, OpenSurveyor, Store } from '../domain/ports.ts';
import type { OpenLister } from '../domain/tree-listing.ts';
import type { Events } from './events.ts';
import type { RestoreAdapters } from './restore-adapters.ts';

/** What the engine works with: one location and the adapters chosen for it. */
export interface EngineContext {
  readonly location: Location;
  readonly catalogue: Catalogue;
  readonly journal: Journal;
  readonly store: Store;
  readonly clock: Clock;
  readonly events: Events;
  readonly openCodec: (type: CompressionType, options?: CodecOptions) => Codec;
  readonly openInspector: OpenInspector;
  readonly openSurveyor: OpenSurveyor;
  readonly openLister: OpenLister;
  /** Of cofre. */
  readonly version: string;
  /** Loads what restores, drills and sweeps work with. */
  readonly openRestoreAdapters: () => Promise<RestoreAdapters>;
}
