import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { configJsonSchema, configJsonSchemaText, configKeys } from '../../src/config/json-schema.ts';
import { loadConfig } from '../../src/config/load.ts';

const ROOT = join(import.meta.dirname, '../..');

test('config.schema.json is the schema that validates', async () => {
  expect(await readFile(join(ROOT, 'config.schema.json'), 'utf8')).toBe(configJsonSchemaText());
});

test('config.example.json validates, without a warning', async () => {
  const env = { DATABASE_URI: 'postgresql://app@db/app' };
  const { config, warnings } = await loadConfig({ path: 'config.example.json', env, cwd: ROOT });
  expect(warnings).toEqual([]);
  expect(config.jobs.map(({ name }) => name)).toEqual(['app']);
});

test('every key has a description', () => {
  expect(configKeys().filter(({ description }) => description === '')).toEqual([]);
});

test('the keys are listed with their places and defaults', () => {
  const keys = new Map(configKeys().map((key) => [key.path, key]));
  expect(keys.get('jobs.<job>.schedule')).toMatchObject({ name: 'schedule', required: true });
  expect(keys.get('timeout')).toMatchObject({ default: '6h', required: false });
  expect(keys.get('http.port')).toMatchObject({ default: 9480 });
  expect(keys.get('retention.days')).toMatchObject({ default: 30 });
  expect(keys.get('jobs.<job>.retention.days')).not.toHaveProperty('default');
  expect(keys.get('compression.level')).not.toHaveProperty('default');
  expect([...keys.keys()]).toEqual(
    expect.arrayContaining([
      'jobs.<job>.sources[].url.credential',
      'jobs.<job>.sources[].directories[].as',
      'scrub.share',
    ]),
  );
});

describe('an editor that knows the schema', () => {
  const schema = z.fromJSONSchema(configJsonSchema() as z.core.JSONSchema.JSONSchema);

  test('accepts the example', async () => {
    const example: unknown = JSON.parse(await readFile(join(ROOT, 'config.example.json'), 'utf8'));
    expect(schema.safeParse(example)).toMatchObject({ success: true });
  });

  test.each([
    ['a misspelt key', { locaton: 'x' }],
    ['a level out of range', { compression: { type: 'zstd', level: 20 } }],
    [
      'a job with a bad name',
      {
        jobs: { 'A b': { schedule: '@daily', sources: [{ type: 'files', name: 'a', directories: ['x'] }] } },
      },
    ],
    ['a duration that is none', { timeout: '6 hours' }],
  ])('marks %s', (_, fault) => {
    expect(schema.safeParse({ location: 'b', jobs: {} })).toMatchObject({ success: true });
    expect(schema.safeParse({ location: 'b', jobs: {}, ...fault })).toMatchObject({ success: false });
  });
});
