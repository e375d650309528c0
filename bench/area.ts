import type { Row } from './row.ts';
import type { Workbench } from './workbench.ts';

/** A part of the bench that can be run by itself: it makes its data, measures, and removes them. */
export interface Area {
  /** For `--only`. */
  name: string;
  needsServer: boolean;
  run(bench: Workbench): Promise<Row[]>;
}
