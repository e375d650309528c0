import { join } from 'node:path';

/** The checkout: where the commands of the demo run. */
export const CHECKOUT = join(import.meta.dirname, '..');

/** What would configure cofre, send PostgreSQL's programs elsewhere, or make systemd hear of the demo. */
const CONFIGURING = /^(?:COFRE_|PG[A-Z]+$|NOTIFY_SOCKET$|WATCHDOG_)/;

/** The environment for the children of the demo, which takes no configuration. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !CONFIGURING.test(key)));
}
