/** What files are filled with: text, log lines, records, and what is compressed already. */
import type { Random } from './random.ts';

const WORDS = 6_000;
const LETTERS = 'etaoinshrdlucmfwypvbgkqjxz';
/** Zipf's law, roughly: the larger, the more often the same words. */
const WORD_SKEW = 4;
const RECORD_BYTES = 16;
const LEVELS = ['INFO', 'INFO', 'INFO', 'INFO', 'DEBUG', 'WARN', 'ERROR'];
const METHODS = ['GET', 'GET', 'GET', 'POST', 'PUT'];
const FIRST_SECOND = Date.UTC(2026, 0, 1) / 1000;

export type Fill = (buffer: Buffer) => void;

/** Each kind of content of one source of random numbers. */
export interface Contents {
  text: Fill;
  logLines: Fill;
  records: Fill;
  compressed: Fill;
}

export function contentsOf(random: Random): Contents {
  const words = Array.from({ length: WORDS }, () => word(random));
  let line = 0;
  let record = 0;
  return {
    text: (buffer) => {
      for (let at = 0; at < buffer.length; ) {
        const next = words[Math.floor(WORDS * random.next() ** WORD_SKEW)];
        at += next?.copy(buffer, at) ?? buffer.length;
      }
    },
    logLines: (buffer) => {
      for (let at = 0; at < buffer.length; ) {
        at += buffer.write(logLine(random, line), at, 'latin1');
        line += 1;
      }
    },
    records: (buffer) => {
      const whole = buffer.length - (buffer.length % RECORD_BYTES);
      buffer.fill(0, whole);
      for (let at = 0; at < whole; at += RECORD_BYTES) {
        record += 1;
        buffer.writeUInt32LE(record, at);
        buffer.writeUInt32LE(FIRST_SECOND + record * 3 + random.below(3), at + 4);
        buffer.writeUInt32LE(random.below(1_000), at + 8);
        buffer.writeFloatLE(random.below(200) / 4, at + 12);
      }
    },
    compressed: (buffer) => random.fill(buffer),
  };
}

function word(random: Random): Buffer {
  const letters = Array.from(
    { length: 2 + random.below(9) },
    () => LETTERS[Math.floor(LETTERS.length * random.next() ** 1.5)],
  );
  return Buffer.from(`${letters.join('')}${random.below(12) === 0 ? '\n' : ' '}`);
}

function logLine(random: Random, line: number): string {
  const at = new Date((FIRST_SECOND + line) * 1000).toISOString();
  const level = LEVELS[random.below(LEVELS.length)];
  const method = METHODS[random.below(METHODS.length)];
  const address = `10.${random.below(4)}.${random.below(256)}.${random.below(256)}`;
  const request = random
    .below(2 ** 32)
    .toString(16)
    .padStart(8, '0');
  const path = `/api/v1/products/${random.below(5_000)}/reviews`;
  return `${at} ${level} [worker-${random.below(8)}] ${address} "${method} ${path}" 200 ${random.below(90_000)} request=${request} took ${random.below(900)} ms\n`;
}
