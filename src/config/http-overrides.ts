import type * as z from 'zod/mini';
import type { HttpConfig } from './config.ts';
import { type ConfigFault, show } from './faults.ts';
import { httpShape } from './schema.ts';

export interface HttpOverrides {
  overrides: Partial<Pick<HttpConfig, 'host' | 'port'>>;
  faults: ConfigFault[];
}

/** What `COFRE_HTTP_HOST` and `COFRE_HTTP_PORT` say; one that is empty counts as not set. */
export function httpOverrides(variables: NodeJS.ProcessEnv): HttpOverrides {
  const faults: ConfigFault[] = [];
  const host = read(variables, 'COFRE_HTTP_HOST', httpShape.host, (text) => text, faults);
  const port = read(variables, 'COFRE_HTTP_PORT', httpShape.port, wholeNumber, faults);
  return {
    overrides: { ...(host === undefined ? {} : { host }), ...(port === undefined ? {} : { port }) },
    faults,
  };
}

function read<T>(
  variables: NodeJS.ProcessEnv,
  name: string,
  schema: z.ZodMiniType<T>,
  convert: (text: string) => unknown,
  faults: ConfigFault[],
): T | undefined {
  const text = variables[name];
  if (text === undefined || text === '') return undefined;
  const parsed = schema.safeParse(convert(text));
  if (parsed.success) return parsed.data;
  const allowed = parsed.error.issues[0]?.message ?? '';
  faults.push({ path: name, received: show(text), allowed, message: 'not a valid value of this variable' });
  return undefined;
}

/** `Number` alone would also take ` 80 `, `0x50` and `8e1`. */
function wholeNumber(text: string): unknown {
  return /^\d{1,9}$/.test(text) ? Number(text) : text;
}
