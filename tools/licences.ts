import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const PACKAGE_DIRECTORY = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/;
const LICENCE_FILE = /^licen[cs]e(?:\.|$)/i;

interface PackageFacts {
  name: string;
  version: string;
  license?: string;
}

/** The licences of the packages that modules come from: whoever passes the bundle on passes these on with it. */
export async function licencesOf(modules: readonly string[]): Promise<string> {
  const directories = new Set(modules.flatMap((path) => PACKAGE_DIRECTORY.exec(path)?.[0] ?? []));
  const texts = await Promise.all([...directories].map(licenceOf));
  return texts.toSorted().join(`\n${'-'.repeat(80)}\n\n`);
}

async function licenceOf(directory: string): Promise<string> {
  const {
    name,
    version,
    license = '',
  } = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')) as PackageFacts;
  const file = (await readdir(directory)).find((entry) => LICENCE_FILE.test(entry));
  const text = file === undefined ? '' : `\n${await readFile(join(directory, file), 'utf8')}`;
  if (license === '' && text === '') throw new Error(`the package ${name} names no licence`);
  return `${name} ${version}: ${license}\n${text}`;
}
