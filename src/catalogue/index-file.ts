import { existsSync } from 'node:fs';
import { type FileHandle, readFile } from 'node:fs/promises';
import { writeAtomically } from '../lib/atomic-file.ts';
import { openOwnFileToRead } from '../lib/owned-file.ts';
import type { Catalogue } from './catalogue.ts';
import { extendedEnd, formatIndex, type IndexEnd } from './index-text.ts';
import type { Location } from './location.ts';

/** Where the last entry of an index is looked for. */
const TAIL_BYTES = 64 * 1024;
const COPIED_BYTES = 1024 * 1024;

interface Version {
  generation: number;
  replacements: number;
}

/**
 * The published index `backups_metadata.json`, for readers other than cofre. Nothing in cofre reads it; it
 * is written again when the catalogue has changed, by whichever process notices.
 */
export class IndexFile {
  readonly #location: Location;
  readonly #catalogue: Catalogue;
  /** What of the catalogue it describes; undefined before the first look. */
  #published: Version | undefined;

  constructor(location: Location, catalogue: Catalogue) {
    this.#location = location;
    this.#catalogue = catalogue;
  }

  /** Writes the index if the catalogue has changed since this process last wrote it, or it is gone. */
  async publish(signal: AbortSignal): Promise<void> {
    if (this.#isKnown()) return;
    await using _lock = await this.#location.lock('catalogue', signal);
    if (await this.#extend()) return;
    const version = this.#look();
    const text = formatIndex(this.#catalogue.list());
    const current = await readFile(this.#location.index, 'utf8').catch(() => undefined);
    if (text !== current) await writeAtomically(this.#location.index, text, this.#location.owner);
    await this.#catalogue.additions.markPublished();
    this.#published = version;
  }

  /** Whether there is nothing to do: nothing has changed, or another process has published what did. */
  #isKnown(): boolean {
    if (this.#published === undefined || !existsSync(this.#location.index)) return false;
    const version = this.#look();
    if (version.generation === this.#published.generation) return true;
    // Whoever only added has published that, and no manifest that was edited in its place.
    if (version.replacements !== this.#published.replacements) return false;
    if (!this.#catalogue.additions.isPublishedByOthers()) return false;
    this.#catalogue.additions.seePublished();
    this.#published = version;
    return true;
  }

  #look(): Version {
    const generation = this.#catalogue.generation();
    return { generation, replacements: this.#catalogue.replacements() };
  }

  /**
   * Adds what this process has added, where that is all. The rest of the catalogue is not even looked at, unless it
   * was before: then it is in memory, and a manifest that was edited in its place is found.
   */
  async #extend(): Promise<boolean> {
    const pending = this.#catalogue.additions.pending();
    if (pending === undefined || pending.length === 0) return false;
    const version = this.#published && this.#look();
    if (version?.replacements !== this.#published?.replacements) return false;
    const { index, owner } = this.#location;
    // What is no file of ours is replaced by one.
    await using file = await openOwnFileToRead(index, owner).catch(() => undefined);
    if (file === undefined) return false;
    const { size } = await file.stat();
    const end = extendedEnd(await readTail(file, size), pending);
    if (end === undefined) return false;
    await writeAtomically(index, withEnd(file, size, end), owner);
    await this.#catalogue.additions.markPublished();
    this.#published = version;
    return true;
  }
}

/** A file with another end. A chunk is valid until the next one is asked for. */
async function* withEnd(
  file: FileHandle,
  size: number,
  { replaced_bytes, text }: IndexEnd,
): AsyncGenerator<Buffer, void, undefined> {
  const kept = size - replaced_bytes;
  const chunk = Buffer.allocUnsafe(Math.min(COPIED_BYTES, kept));
  for (let at = 0; at < kept; ) {
    const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, kept - at), at);
    if (bytesRead === 0) throw new Error('the index became shorter while it was read');
    at += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
  yield Buffer.from(text);
}

async function readTail(file: FileHandle, size: number): Promise<Buffer> {
  const length = Math.min(size, TAIL_BYTES);
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, size - length);
  return buffer.subarray(0, bytesRead);
}
