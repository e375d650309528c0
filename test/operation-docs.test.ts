import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { Metrics } from '../src/engine/metrics.ts';
import { requirePromtool } from '../tools/promtool.ts';

const run = promisify(execFile);
const page = await readFile(join(import.meta.dirname, '../docs/operation.md'), 'utf8');

/** The example in the page that begins with this line. */
function example(firstLine: string): string {
  const blocks = [...page.matchAll(/^```\w+\n([\s\S]*?)^```$/gm)].map(([, block]) => block ?? '');
  return blocks.find((block) => block.startsWith(`${firstLine}\n`)) ?? '';
}

test('promtool accepts the alert rules of the docs', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'cofre-rules-'));
  try {
    const file = join(directory, 'rules.yml');
    const rules = example('groups:');
    await writeFile(file, rules);
    const count = rules.match(/^ +- alert: /gm)?.length ?? 0;
    expect(count).toBeGreaterThan(5);
    const { stdout } = await run(requirePromtool(), ['check', 'rules', file]);
    expect(stdout).toContain(`SUCCESS: ${count} rules found`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('promtool accepts the scrape configuration of the docs', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'cofre-scrape-'));
  try {
    const file = join(directory, 'prometheus.yml');
    await writeFile(file, example('scrape_configs:'));
    const { stdout } = await run(requirePromtool(), ['check', 'config', file]);
    expect(stdout).toContain('SUCCESS');
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('the alert rules use only metrics that exist', () => {
  const known = new Set(new Metrics().registry.getMetricsAsArray().map(({ name }) => name));
  const used = [...new Set(example('groups:').match(/\bcofre_[a-z_]+/g))];
  expect(used.length).toBeGreaterThan(5);
  expect(used.filter((name) => !known.has(name))).toEqual([]);
});
