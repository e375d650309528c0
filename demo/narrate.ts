import { styleText } from 'node:util';
import type { LogLine } from './daemon-process.ts';

const WIDTH = 96;
const INDENT = '  ';

/** Writes the story. Colours appear on a terminal only, and not where NO_COLOR is set. */
export class Narrator {
  readonly #out: NodeJS.WriteStream;
  #sections = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  title(text: string): void {
    this.#line(this.#style('bold', text));
  }

  heading(text: string): void {
    this.#sections += 1;
    this.#line('');
    this.#line(this.#style(['bold', 'cyan'], `${this.#sections}. ${text}`));
  }

  /** Commentary, wrapped. */
  say(text: string): void {
    for (const line of wrap(text, WIDTH)) this.#line(line);
  }

  /** What is typed, before what it printed. */
  command(text: string): void {
    this.#line(`${INDENT}${this.#style('green', `$ ${text}`)}`);
  }

  /** What a program printed, or what stands in a file, as it is. */
  quote(text: string): void {
    for (const line of text.trimEnd().split('\n')) this.#line(`${INDENT}${line}`);
  }

  /** A line of the daemon's log, for people: its time of day and its message. */
  logged({ time, level, msg }: LogLine): void {
    const clock = new Date(time).toISOString().slice(11, 19);
    const text = level === 'info' ? msg : `${level.toUpperCase()} ${msg}`;
    this.#line(`${INDENT}${this.#style('dim', clock)}  ${text}`);
  }

  blank(): void {
    this.#line('');
  }

  #style(format: Parameters<typeof styleText>[0], text: string): string {
    return styleText(format, text, { stream: this.#out });
  }

  #line(text: string): void {
    this.#out.write(`${text}\n`);
  }
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
