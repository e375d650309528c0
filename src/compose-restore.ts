import type { Config } from './config/config.ts';
import type { RestoreAdapters } from './engine/restore-adapters.ts';

/** Opens the adapters of restores and drills as the configuration that is in use says. */
export class Restoring {
  #scratch: Config['scratch'];

  constructor(config: Config) {
    this.#scratch = config.scratch;
  }

  /** Takes another configuration over; what is open goes on with its own. */
  configure({ scratch }: Config): void {
    this.#scratch = scratch;
  }

  /** They are loaded when they are asked for: they are as much as all that a backup needs. */
  async open(): Promise<RestoreAdapters> {
    const { ComposedRestoreAdapters } = await import('./compose-restore-adapters.ts');
    return new ComposedRestoreAdapters(this.#scratch);
  }
}
