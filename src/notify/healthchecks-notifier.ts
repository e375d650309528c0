import { createHash } from 'node:crypto';
import type { Notice } from '../domain/notice.ts';
import { subjectOf, textOf } from '../domain/notice-text.ts';
import type { Notifier } from '../domain/ports.ts';
import { post } from './http-post.ts';
import { cutTo } from './webhook-formats.ts';

/** https://healthchecks.io/docs/attaching_logs: what is longer is cut there as well. */
const BODY_MOST_BYTES = 10_000;

/**
 * Pings in the style of healthchecks.io: `/start` when a run starts, the address itself when it succeeded, `/fail`
 * when it did not, `/log` for what says neither, such as a test. https://healthchecks.io/docs/http_api
 */
export class HealthchecksNotifier implements Notifier {
  readonly id: string;
  readonly #url: string;

  constructor({ name, url }: { name: string; url: string }) {
    this.id = name;
    this.#url = url;
  }

  async notify(notice: Notice, signal: AbortSignal): Promise<void> {
    const body = cutTo(BODY_MOST_BYTES, `${subjectOf(notice)}\n\n${textOf(notice)}`);
    const headers = { 'content-type': 'text/plain; charset=utf-8' };
    await post({ url: pingUrl(this.#url, notice), body, headers }, signal);
  }
}

const SUFFIXES = {
  start: '/start',
  success: '',
  recovered: '',
  failure: '/fail',
  incomplete: '/fail',
  anomaly: '/log',
  drill: '/log',
  prune: '/log',
  test: '/log',
} as const satisfies Record<Notice['kind'], string>;

/** What may already stand behind a `?`, such as `create=1`, stays. */
export function pingUrl(url: string, { kind, topics, run }: Notice): string {
  const target = new URL(url);
  // An anomaly comes with a run that succeeded, which the check waits for.
  const isSuccess = topics.includes('success') || topics.includes('recovered');
  target.pathname = target.pathname.replace(/\/+$/, '') + (isSuccess ? '' : SUFFIXES[kind]);
  if (run !== undefined) target.searchParams.set('rid', uuidOf(run));
  return target.href;
}

/** The id that tells which start an end belongs to has to be a UUID: one of version 8, made of the run's (RFC 9562). */
function uuidOf(run: string): string {
  const bytes = createHash('sha256').update(run).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
