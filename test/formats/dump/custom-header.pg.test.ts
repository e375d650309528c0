import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCustomHeader } from '../../../src/formats/dump/custom-header.ts';
import { type TestServer, usingCluster } from '../../support/postgres.ts';

let server: TestServer;
let archive: Buffer;

beforeAll(async () => {
  server = await usingCluster();
  const url = await server.createDatabase('custom_header');
  const args = ['--format=custom', '--compress=0', `--dbname=${url}`];
  archive = execFileSync(join(server.binDir, 'pg_dump'), args);
});
afterAll(async () => await server[Symbol.asyncDispose]());

describe('the head of a dump in the custom format', () => {
  test('says which versions it is of', async () => {
    const tool = execFileSync(join(server.binDir, 'pg_dump'), ['--version'], { encoding: 'utf8' });
    expect(readCustomHeader(archive)).toEqual({
      server_version: await server.psql('custom_header', 'SHOW server_version'),
      tool_version: tool.replace('pg_dump (PostgreSQL) ', '').trim(),
    });
  });

  test('goes on until it has been read whole', () => {
    let needed = 0;
    while (readCustomHeader(archive.subarray(0, needed)) === 'more') needed += 1;
    expect(needed).toBeGreaterThan(40);
    expect(readCustomHeader(archive.subarray(0, needed))).toEqual(readCustomHeader(archive));
  });

  test('is not taken for one where it is none', () => {
    for (const text of ['', 'P', 'PGDM']) expect(readCustomHeader(Buffer.from(text))).toBe('more');
    expect(readCustomHeader(Buffer.from('--\n-- PostgreSQL database dump'))).toBeUndefined();
    expect(readCustomHeader(Buffer.from('PGDX'))).toBeUndefined();
    const damaged = Buffer.from(archive);
    damaged[5] = 9;
    expect(readCustomHeader(damaged)).toBeUndefined();
    damaged[5] = 1;
    damaged[8] = 200;
    expect(readCustomHeader(damaged)).toBeUndefined();
    const long = Buffer.from(archive);
    // The length of the database's name, in four bytes before it.
    const name = long.indexOf('custom_header');
    long.fill(0x7f, name - 4, name);
    expect(readCustomHeader(long)).toBeUndefined();
  });
});
