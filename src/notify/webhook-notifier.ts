import { createHash, createHmac } from 'node:crypto';
import type { Notice } from '../domain/notice.ts';
import type { Notifier } from '../domain/ports.ts';
import { post } from './http-post.ts';
import { payloadOf, type WebhookFormat } from './webhook-formats.ts';

export interface WebhookOptions {
  name: string;
  /** A secret as a whole. */
  url: string;
  format: WebhookFormat;
  /** What the body is signed with. */
  secret?: string;
  /** Sent as `Authorization: Bearer …`. */
  token?: string;
}

/** A message to a program that listens on HTTP. */
export class WebhookNotifier implements Notifier {
  readonly id: string;
  readonly #options: WebhookOptions;

  constructor(options: WebhookOptions) {
    this.id = options.name;
    this.#options = options;
  }

  async notify(notice: Notice, signal: AbortSignal): Promise<void> {
    const { url, format, secret, token } = this.#options;
    const { body, headers } = payloadOf(format, notice);
    const signed = secret === undefined ? {} : { 'x-cofre-signature': signatureOf(body, secret, new Date()) };
    const bearer = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const delivery = { 'x-cofre-delivery': deliveryOf(this.id, notice) };
    await post({ url, body, headers: { ...headers, ...delivery, ...signed, ...bearer } }, signal);
  }
}

/**
 * `t=<seconds since 1970>,v1=<hex>`: HMAC-SHA256 over `<seconds>.<body>`. The time is in what is signed, so that a
 * receiver can refuse a message that somebody recorded and sends again.
 */
export function signatureOf(body: string, secret: string, now: Date): string {
  const seconds = Math.floor(now.getTime() / 1000);
  const digest = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
  return `t=${seconds},v1=${digest}`;
}

/** The same for each attempt, so that a receiver can tell a repetition from news. */
function deliveryOf(name: string, { kind, job = '', run = '', at }: Notice): string {
  return createHash('sha256').update([name, kind, job, run, at].join('\n')).digest('hex').slice(0, 32);
}
