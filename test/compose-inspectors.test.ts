import { expect, test } from 'vitest';
import { Inspectors } from '../src/compose-inspectors.ts';
import type { Config } from '../src/config/config.ts';
import type { ArchiveFormat } from '../src/domain/manifest.ts';

const NOW = new AbortController().signal;
const END = '--\n-- PostgreSQL database dump complete\n--\n\n';

function inspectors(): Inspectors {
  return new Inspectors({ jobs: [] as Config['jobs'] } as Config);
}

function archive(format: ArchiveFormat, tool_version = '15.18') {
  return { format, source: 'shop', tool_version };
}

test('a surveyor of a plain dump digests the rows of those tables that it is asked for', async () => {
  const { openSurveyor } = inspectors();
  await using surveyor = await openSurveyor(archive('plain'), ({ name }) => name === 'b', NOW);
  const block = (name: string) => `COPY public.${name} (x) FROM stdin;\n1\n\\.\n`;
  await surveyor.write(Buffer.from(block('a') + block('b') + END));
  await surveyor.end();
  expect(surveyor.survey().multisets).toEqual([undefined, expect.stringMatching(/^[0-9a-f]{64}$/)]);
});

test('a custom dump of a version that no pg_restore here reads has no surveyor, as it has no inspector', async () => {
  const newer = archive('custom', '999.1');
  await expect(inspectors().open(newer, NOW)).rejects.toMatchObject({ code: expect.any(String) });
  const { code } = (await inspectors()
    .open(newer, NOW)
    .catch((error: unknown) => error)) as { code: string };
  await expect(inspectors().openSurveyor(newer, () => true, NOW)).rejects.toMatchObject({ code });
});

test('files are no dump', async () => {
  await expect(inspectors().openSurveyor(archive('tar'), () => true, NOW)).rejects.toThrow('no dump');
});
