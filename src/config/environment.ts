import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'dotenv';

/** Environment variables: the real ones, and below them those of a `.env` file. */
export interface Environment {
  variables: NodeJS.ProcessEnv;
  /** Where the `.env` file was looked for. */
  file: string;
  fileRead: boolean;
  warnings: string[];
}

/** Reads `.env` in `directory`, if there is one. The real environment wins and is not changed. */
export async function readEnvironment(directory: string, env: NodeJS.ProcessEnv): Promise<Environment> {
  const file = join(directory, '.env');
  try {
    const variables = { ...parse(await readFile(file)), ...env };
    return { variables, file, fileRead: true, warnings: [] };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const warnings = code === 'ENOENT' ? [] : [`${file} cannot be read and is ignored: ${code}`];
    return { variables: { ...env }, file, fileRead: false, warnings };
  }
}
