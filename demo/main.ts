/**
 * `npm run demo`: the main job of cofre on a database and files made for the occasion, without any
 * configuration. story.ts is what happens; here is how it begins and ends.
 *
 * COFRE_DEMO_DATABASE chooses the database: `postgres` (the programs of this machine) or `pglite` (embedded,
 * from npm). Without it the demo takes PostgreSQL where it is installed, PGlite elsewhere.
 */
import { assertRuntime } from '../src/runtime.ts';

// Before anything else is loaded: an older Node would fail on the first import with a message about syntax.
assertRuntime(process.versions.node);
const { runDemo } = await import('./run.ts');
process.exitCode = await runDemo();
