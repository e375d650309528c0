import type { Config } from './config/config.ts';
import type { RestoreAdapters } from './engine/restore-adapters.ts';

/** Opens the adapters of restores and drills as the configuration that is in use says. */
export class RestoreAdapterFactory {
  #scratch: Config['scratch'];

  constructor(config: Config) {
    this.#scratch = config.scratch;
  }

  /** Takes another configuration over; what is open goes on with its own. */
  configure({ scratch }: Config): void {
    this.#scratch = scratch;
  }

  /** They are loaded when they are asked for: with `pg` they are a third of what a backup of files would have to parse. */
  async open(): Promise<RestoreAdapters> {
    const { ComposedRestoreAdapters } = await import('./compose-restore-adapters.ts');
    return new ComposedRestoreAdapters(this.#scratch);
  }
}
