import { crossCheck } from './cross-checks.ts';
import { type ConfigFault, type KeyPath, valueAt } from './faults.ts';
import { checkHttp } from './http-checks.ts';
import { faultsOfIssues, type KnownKeys } from './issues.ts';
import { checkNotify } from './notify-checks.ts';
import { type ConfigInput, configSchema, jobSchema } from './schema.ts';

export interface Validated {
  /** Absent when the document does not follow the schema. */
  input?: ConfigInput;
  faults: ConfigFault[];
}

/** Holds a document against the schema and the rules between its values; relative paths are below `directory`. */
export async function validate(root: unknown, directory: string): Promise<Validated> {
  const names = [...crossCheck(root, directory), ...checkHttp(root), ...checkNotify(root)];
  const parsed = configSchema.safeParse(root);
  if (parsed.success) return { input: parsed.data, faults: names };
  // Loaded for messages only: what makes a JSON schema is larger than what validates.
  const { configKeys } = await import('./json-schema.ts');
  const { issues } = parsed.error;
  const misnamed = issues.filter((issue) => issue.code === 'invalid_key').map((issue) => issue.path);
  return {
    faults: [
      ...faultsOfIssues(root, issues, configKeys),
      ...misnamed.flatMap((path) => faultsWithinJob(root, path, configKeys)),
      ...names,
    ],
  };
}

/** zod does not look below a key that is wrong; without this those faults would show one correction later. */
function faultsWithinJob(root: unknown, path: KeyPath, known: KnownKeys): ConfigFault[] {
  const { error } = jobSchema.safeParse(valueAt(root, path));
  return error === undefined ? [] : faultsOfIssues(root, error.issues, known, path);
}
