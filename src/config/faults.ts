import { BackupError } from '../domain/errors.ts';

/** One thing wrong with the configuration. None of the texts holds a secret. */
export interface ConfigFault {
  /** `jobs.app.sources[0].name`; `config.json:3:7` for text that is no JSON; a variable's name. */
  path: string;
  /** The value received, or what stands for it. */
  received: string;
  allowed: string;
  /** What is wrong. */
  message: string;
}

/** The configuration does not validate. `faults` holds every fault; the message has a line for each. */
export class ConfigError extends BackupError {
  readonly faults: readonly ConfigFault[];

  constructor(file: string, all: readonly ConfigFault[]) {
    const faults = oncePerPath(all);
    const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`;
    const lines = [`the configuration ${file} has ${count}:`, ...faults.map(formatFault)];
    super('CONFIG_INVALID', lines.join('\n'), {
      path: file,
      hint: 'Correct each line; `cofre config schema` prints what is allowed.',
    });
    this.faults = faults;
  }
}

/** What fails one check of a value often fails another: the first one says enough. */
function oncePerPath(faults: readonly ConfigFault[]): ConfigFault[] {
  return [...new Map(faults.toReversed().map((fault) => [fault.path, fault])).values()].toReversed();
}

/** One line: the path, what is wrong, the value, what is allowed. */
function formatFault({ path, message, received, allowed }: ConfigFault): string {
  return `${path}: ${message} (received ${received}; allowed: ${allowed})`.replaceAll(
    /[\p{Cc}\u2028\u2029]+/gu,
    ' ',
  );
}

export type KeyPath = readonly PropertyKey[];

/** `jobs.app.sources[0].name`; the document itself is `(top level)`. */
export function formatPath(path: KeyPath): string {
  if (path.length === 0) return '(top level)';
  return path
    .map((key, index) => {
      if (typeof key === 'number') return `[${key}]`;
      const name = String(key);
      if (!/^[A-Za-z_$][\w$-]*$/.test(name) || name.length > SHOWN_LENGTH) return `[${show(name)}]`;
      return index === 0 ? name : `.${name}`;
    })
    .join('');
}

/** The value at a path; undefined where there is none. */
export function valueAt(root: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    root,
  );
}

/** A value as a message may show it, by where it stands. */
export function showAt(root: unknown, path: KeyPath): string {
  const value = valueAt(root, path);
  const mayBeSecret = path.some((key) => SECRET_KEYS.includes(String(key)));
  return mayBeSecret && ['string', 'number'].includes(typeof value) ? HIDDEN : show(value);
}

/** A value in short. Objects and arrays are not spelt out, as they could hold a secret further down. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value !== 'string') return JSON.stringify(value);
  if (MAY_HOLD_SECRET.test(value)) return HIDDEN;
  return JSON.stringify(value.length > SHOWN_LENGTH ? `${value.slice(0, SHOWN_LENGTH)}…` : value);
}

/** A key, as `show` would a value. */
export function showKey(key: string): string {
  return /^[\w$-]{1,80}$/.test(key) ? JSON.stringify(key) : show(key);
}

export const HIDDEN = '<hidden>';
const SHOWN_LENGTH = 80;
/** Below these a value is, or may hold, a secret: `hooks` are command lines. */
const SECRET_KEYS = ['url', 'hooks', 'token', 'secret', 'password'];
/** A URI or connection string that strayed to another key. */
const MAY_HOLD_SECRET = /:\/\/|(?:password|passwd|secret|token)\s*[=:]/i;
