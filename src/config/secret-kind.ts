import type { KeyPath } from './faults.ts';
import type { secretSchema } from './source-schema.ts';

/** A secret as it was found, or why it was not. */
export type Found = { ok: true; value: string; warning?: string } | { ok: false; reason: string };

/** What a kind of secret has to be. */
export interface SecretKind {
  key: string;
  /** Made when there is such a secret. */
  schema: () => typeof secretSchema;
  allowed: string;
  check: (found: Found) => Found;
  /** Whether a text in the file itself gives the secret away. */
  isPlain: (text: string) => boolean;
  plainWarning: string;
}

/** Where a secret stands: the path of the object that has it. */
export interface SecretHolder {
  path: KeyPath;
  value: unknown;
  kind: SecretKind;
}

export const REFERENCES = 'use {"env": …}, {"file": …} or {"credential": …}';
