import { Header } from 'tar';

const BLOCK_BYTES = 512;
const TYPES = {
  '0': 'File',
  '1': 'Link',
  '2': 'SymbolicLink',
  '3': 'CharacterDevice',
  '5': 'Directory',
} as const;

export interface Member {
  path: string;
  data?: string;
  /** Of the type; a file when absent. */
  flag?: string;
  link?: string;
}

/** A tar with any members, also such as nobody writes. */
export function directoryTar(members: readonly Member[]): Buffer {
  const blocks = members.flatMap(({ path, data = '', flag = '0', link = '' }) => {
    const block = Buffer.alloc(BLOCK_BYTES);
    const type = TYPES[flag as keyof typeof TYPES];
    new Header({ path, mode: 0o600, size: Buffer.byteLength(data), type, linkpath: link }).encode(block);
    const body = Buffer.alloc(Math.ceil(Buffer.byteLength(data) / BLOCK_BYTES) * BLOCK_BYTES);
    body.write(data);
    return [block, body];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK_BYTES)]);
}
