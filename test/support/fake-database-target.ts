import type { DatabaseRestoreOptions, DatabaseTarget, Lacking } from '../../src/domain/restore-ports.ts';
import type { DumpNeeds } from '../../src/domain/dump-survey.ts';

/** What a target says and does; all of it as a server that has everything, and an empty database. */
export interface TargetScript {
  exists?: boolean;
  database?: string;
  system_identifier?: string;
  occupants?: string[];
  /** Names of tables that are there. */
  taken?: string[];
  /** Told what the archive needs, and how often it was asked before. */
  lacking?: (needs: DumpNeeds, asked: number) => Partial<Lacking>;
  made?: string[];
  /** Rows of each table after the restore. */
  counts?: (number | undefined)[];
  /** Called in the step of that name; what it throws is thrown. */
  during?: (step: 'look' | 'applyGlobals' | 'restore' | 'countRows') => void | Promise<void>;
}

/** A database that is scripted, and remembers what was done to it. */
export class FakeDatabaseTarget implements DatabaseTarget {
  readonly done: string[] = [];
  options: DatabaseRestoreOptions | undefined;
  readonly #script: TargetScript;
  #asked = 0;

  constructor(script: TargetScript = {}) {
    this.#script = script;
  }

  describe: DatabaseTarget['describe'] = async () => {
    return `${this.#script.database ?? 'shop'} at db:5432`;
  };

  look: DatabaseTarget['look'] = async () => {
    const { exists = true, database = 'shop', system_identifier, occupants = [] } = this.#script;
    await this.#script.during?.('look');
    return {
      description: `${database} at db:5432`,
      database,
      exists,
      ...(system_identifier === undefined ? {} : { system_identifier }),
      major: 15,
      occupants,
    };
  };

  lacking: DatabaseTarget['lacking'] = async (needs) => {
    const lacks = this.#script.lacking?.(needs, this.#asked) ?? {};
    this.#asked += 1;
    return { roles: [], extensions: [], tablespaces: [], ...lacks };
  };

  applyGlobals: DatabaseTarget['applyGlobals'] = async (raw) => {
    await this.#script.during?.('applyGlobals');
    for await (const chunk of raw) void chunk;
    this.done.push('globals');
    return { made: this.#script.made ?? [], existing: ['postgres'] };
  };

  restore: DatabaseTarget['restore'] = async (raw, options) => {
    let bytes = 0;
    for await (const chunk of raw) bytes += chunk.length;
    await this.#script.during?.('restore');
    this.options = options;
    this.done.push(`restored ${bytes} bytes`);
    return [];
  };

  existing: DatabaseTarget['existing'] = async (tables) => {
    const { taken = [] } = this.#script;
    return tables.filter(({ name }) => taken.includes(name));
  };

  countRows: DatabaseTarget['countRows'] = async (tables) => {
    await this.#script.during?.('countRows');
    return this.#script.counts ?? tables.map(() => 2);
  };
}
