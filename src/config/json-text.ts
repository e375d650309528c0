/**
 * JSON with the position of what is wrong. `JSON.parse` alone does not do for a file that people write:
 * its messages quote the text around the fault, which may be a password, and do not always say where it
 * is; and of a key that is there twice it takes the second without a word, so that a job can vanish.
 */

import { show, showKey } from './faults.ts';

/** What is wrong with the text, and where; lines and columns count from 1. */
export interface TextFault {
  line: number;
  column: number;
  message: string;
  received: string;
}

export type ParsedText = { ok: true; value: unknown } | { ok: false; faults: TextFault[] };

/** Plain JSON (RFC 8259) in UTF-8, no key twice in an object, none called `__proto__`. */
export function parseJsonText(bytes: Uint8Array): ParsedText {
  if (
    startsWith(bytes, [0xef, 0xbb, 0xbf]) ||
    startsWith(bytes, [0xff, 0xfe]) ||
    startsWith(bytes, [0xfe, 0xff])
  ) {
    const message = 'a byte order mark; save the file as UTF-8 without it';
    return { ok: false, faults: [{ line: 1, column: 1, message, received: 'a byte order mark' }] };
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const message = 'the file is not UTF-8';
    return { ok: false, faults: [{ line: 1, column: 1, message, received: 'other bytes' }] };
  }
  const faults = new JsonScanner(text).scan();
  return faults.length > 0 ? { ok: false, faults } : { ok: true, value: JSON.parse(text) as unknown };
}

function startsWith(bytes: Uint8Array, mark: readonly number[]): boolean {
  return mark.every((byte, index) => bytes[index] === byte);
}

const DEPTH_MAX = 64;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const LITERAL = /true|false|null/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[\dA-Fa-f]{4})/y;

class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
}

/** Checks a text against the grammar, without building its value. */
class JsonScanner {
  readonly #text: string;
  readonly #faults: TextFault[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Every impossible or repeated key, and the first fault of syntax. */
  scan(): TextFault[] {
    try {
      this.#value(0);
      this.#space();
      if (this.#at < this.#text.length) this.#fail('text after the end of the document');
    } catch (error) {
      if (!(error instanceof JsonSyntaxError)) throw error;
      this.#report(error.message, this.#at);
    }
    return this.#faults;
  }

  #value(depth: number): void {
    this.#space();
    const first = this.#text[this.#at];
    if (depth > DEPTH_MAX) this.#fail('nested too deeply');
    if (first === '{') this.#object(depth);
    else if (first === '[') this.#array(depth);
    else if (first === '"') this.#string();
    else if (!this.#take(NUMBER) && !this.#take(LITERAL)) this.#fail('a value is missing here');
  }

  #object(depth: number): void {
    const seen = new Set<string>();
    this.#members('}', () => {
      const start = this.#at;
      if (this.#text[start] !== '"') this.#fail('a key in double quotes is missing here');
      this.#string();
      const key = JSON.parse(this.#text.slice(start, this.#at)) as string;
      if (seen.has(key)) this.#report('this key is in the same object twice', start, showKey(key));
      // Libraries skip it as a protection, which here would be a setting that is silently ignored.
      if (key === '__proto__') this.#report('this key is not possible', start, showKey(key));
      seen.add(key);
      this.#space();
      if (this.#text[this.#at] !== ':') this.#fail('":" is missing here');
      this.#at += 1;
      this.#value(depth + 1);
    });
  }

  #array(depth: number): void {
    this.#members(']', () => this.#value(depth + 1));
  }

  #members(close: '}' | ']', member: () => void): void {
    this.#at += 1;
    this.#space();
    if (this.#text[this.#at] === close) {
      this.#at += 1;
      return;
    }
    for (;;) {
      member();
      this.#space();
      const comma = this.#at;
      const next = this.#text[comma];
      if (next !== ',' && next !== close) this.#fail(`"," or "${close}" is missing here`);
      this.#at += 1;
      if (next === close) return;
      this.#space();
      if (this.#text[this.#at] === close) {
        this.#at = comma;
        this.#fail('a comma after the last element');
      }
    }
  }

  #string(): void {
    this.#at += 1;
    for (let char = this.#text[this.#at]; char !== '"'; char = this.#text[this.#at]) {
      if (char === undefined || char < ' ') this.#fail('a string without its closing double quote');
      if (char !== '\\') this.#at += 1;
      else if (!this.#take(ESCAPE)) this.#fail('an escape that JSON does not have');
    }
    this.#at += 1;
  }

  #take(token: RegExp): boolean {
    token.lastIndex = this.#at;
    const found = token.test(this.#text);
    if (found) this.#at = token.lastIndex;
    return found;
  }

  #space(): void {
    while (' \t\n\r'.includes(this.#text[this.#at] ?? 'end')) this.#at += 1;
  }

  #fail(message: string): never {
    const rest = this.#text.slice(this.#at, this.#at + 2);
    if (rest === '') throw new JsonSyntaxError('the text ends too early');
    if (rest === '//' || rest === '/*' || rest.startsWith('#')) {
      throw new JsonSyntaxError('a comment, which JSON does not have');
    }
    if (rest.startsWith("'")) throw new JsonSyntaxError('a single quote; JSON has double quotes only');
    throw new JsonSyntaxError(message);
  }

  // One character by default: more could be part of a secret.
  #report(message: string, at: number, received = show(this.#text[at])): void {
    const before = this.#text.slice(0, at).split('\n');
    this.#faults.push({ line: before.length, column: (before.at(-1)?.length ?? 0) + 1, message, received });
  }
}
