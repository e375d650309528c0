import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes a shell script that answers `--version` as PostgreSQL's programs do, and else runs `body`. */
export async function fakeProgram(
  directory: string,
  name: string,
  version: string,
  body = '',
): Promise<string> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, name);
  const script = `#!/bin/sh
if [ "$1" = --version ]; then echo '${name} (PostgreSQL) ${version}'; exit 0; fi
${body}
`;
  await writeFile(path, script, { mode: 0o755 });
  return path;
}
