import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isSupportedNode } from '../src/runtime.ts';

describe('the Node that cofre runs on', () => {
  test.each(['24.20.0', '24.21.3', '26.6.0', '26.10.1', '27.0.0'])('%s will do', (version) => {
    expect(isSupportedNode(version)).toBe(true);
  });

  test.each(['18.20.0', '20.19.0', '22.18.0', '24.0.0', '24.19.9', '25.9.0', '26.5.9', ''])(
    '%s will not: it decompresses a truncated zstd file without any error, or cannot run the program',
    (version) => {
      expect(isSupportedNode(version)).toBe(false);
    },
  );

  test('is the one the tests run on', () => {
    expect(isSupportedNode(process.versions.node)).toBe(true);
  });

  test('on any other the program ends with status 2 and says what to do', () => {
    const runtime = join(import.meta.dirname, '../src/runtime.ts');
    const script = `import(${JSON.stringify(runtime)}).then(({ assertRuntime }) => assertRuntime('24.19.0'))`;
    const { status, stderr, stdout } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/24\.20 .* this is 24\.19\.0[^]*npm ci/);
  });
});
