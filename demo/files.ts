import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { picture } from './png.ts';

const PICTURES = 24;
const INVOICES = 18;
const SIDE_PX = 64;

/** Fills a directory with what a shop's visitors and back office upload. Returns what it is, for people. */
export async function writeUploads(directory: string): Promise<string> {
  const images = join(directory, 'images');
  const invoices = join(directory, 'invoices', '2026');
  // The last one stays empty: it belongs to the backup all the same.
  for (const path of [images, invoices, join(directory, 'incoming')]) await mkdir(path, { recursive: true });
  for (let i = 1; i <= PICTURES; i += 1) {
    await writeFile(join(images, `SKU-${String(i).padStart(4, '0')}.png`), picture(i, SIDE_PX));
  }
  await symlink('SKU-0007.png', join(images, 'featured.png'));
  for (let i = 1; i <= INVOICES; i += 1) {
    await writeFile(join(invoices, `INV-${10_000 + i}.txt`), invoice(i));
  }
  await writeFile(join(directory, 'invoices', 'Übersicht März – São João.txt'), 'Summe: 1 234,56 €\n');
  return `${PICTURES} pictures, ${INVOICES + 1} invoices, a symbolic link, an empty directory, a non-ASCII name`;
}

function invoice(i: number): string {
  const lines = Array.from({ length: 1 + (i % 4) }, (_, line) => {
    const product = 1 + ((i * 31 + line * 17) % 120);
    return `  SKU-${String(product).padStart(4, '0')}   ${1 + (line % 3)} x ${(4 + product / 4).toFixed(2)} EUR`;
  });
  return [`Invoice ${10_000 + i}`, `Customer customer${i}@example.com`, '', ...lines, ''].join('\n');
}
