import { describe, expect, test } from 'vitest';
import type { DumpSurveyor } from '../../src/domain/ports.ts';
import { LateSurveyor } from '../../src/inspect/late-surveyor.ts';

function int(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = value < 0 ? 1 : 0;
  bytes.writeUInt32LE(Math.abs(value), 1);
  return bytes;
}

function text(value: string): Buffer {
  return Buffer.concat([int(Buffer.byteLength(value)), Buffer.from(value)]);
}

/** The head of an archive, of the formats before and since compression got an algorithm. */
function head(minor: number, tool: string): Buffer {
  return Buffer.concat([
    Buffer.from('PGDMP'),
    Buffer.from([1, minor, 0, 4, 8, 1]),
    minor >= 15 ? Buffer.from([0]) : int(-1),
    ...Array.from({ length: 7 }, () => int(59)),
    text('shop'),
    text('14.9'),
    text(tool),
  ]);
}

function surveyor() {
  const asked: (string | undefined)[] = [];
  const written: Buffer[] = [];
  let disposed = 0;
  const inner = {
    write: async (chunk: Buffer) => void written.push(Buffer.from(chunk)),
    end: async () => ({ tables: [], schema_sha256: 's' }),
    survey: () => ({ tool_version: 'told' }),
    [Symbol.asyncDispose]: async () => void (disposed += 1),
  } as unknown as DumpSurveyor;
  const late = new LateSurveyor(async (version) => {
    asked.push(version);
    return inner;
  });
  return { late, asked, written: () => Buffer.concat(written), disposed: () => disposed };
}

describe('the surveyor of a custom dump of which nothing is known', () => {
  test.each([14, 15])(
    'asks for the version that its head names, format 1.%i, byte by byte',
    async (minor) => {
      const { late, asked, written, disposed } = surveyor();
      const archive = Buffer.concat([head(minor, '16.2 (Debian)'), Buffer.from('and the rest')]);
      for (const byte of archive) await late.write(Buffer.from([byte]));
      expect(asked).toEqual(['16.2 (Debian)']);
      expect(written()).toEqual(archive);
      expect(await late.end()).toEqual({ tables: [], schema_sha256: 's' });
      expect(late.survey()).toEqual({ tool_version: 'told' });
      await late[Symbol.asyncDispose]();
      expect(disposed()).toBe(1);
    },
  );

  test('leaves it to the inner one to say what is wrong with anything else', async () => {
    const { late, asked, written } = surveyor();
    await late.write(Buffer.from('-- no such dump'));
    expect(asked).toEqual([undefined]);
    expect(written().toString()).toBe('-- no such dump');
  });

  test('ends with its head, or with nothing', async () => {
    for (const bytes of [head(14, '16.2').subarray(0, 20), Buffer.alloc(0)]) {
      const { late, asked, written } = surveyor();
      await late.write(bytes);
      await late.end();
      expect(asked).toEqual([undefined]);
      expect(written()).toEqual(bytes);
    }
    const { late, disposed } = surveyor();
    await late[Symbol.asyncDispose]();
    expect(disposed()).toBe(0);
  });
});
