import type { Notice } from '../domain/notice.ts';
import { subjectOf, textOf } from '../domain/notice-text.ts';

export const WEBHOOK_FORMATS = ['json', 'slack', 'ntfy'] as const;
export type WebhookFormat = (typeof WEBHOOK_FORMATS)[number];

export interface Payload {
  body: string;
  headers: Record<string, string>;
}

/** What a receiver of this format is sent. */
export function payloadOf(format: WebhookFormat, notice: Notice): Payload {
  switch (format) {
    case 'json':
      return json(notice);
    case 'slack':
      return slack(notice);
    case 'ntfy':
      return ntfy(notice);
    default:
      return format satisfies never;
  }
}

/** Described in docs/notifications.md. */
function json(notice: Notice): Payload {
  const { kind, topics, ...facts } = notice;
  const document = {
    version: 1,
    event: kind,
    events: topics.length === 0 ? [kind] : topics,
    subject: subjectOf(notice),
    text: textOf(notice),
    ...facts,
  };
  return { body: JSON.stringify(document), headers: { 'content-type': 'application/json' } };
}

/** Discord refuses what is longer; Slack takes twenty times as much, which nobody reads there. */
const SLACK_MOST_BYTES = 2_000;

/** An incoming webhook of Slack, Mattermost, Rocket.Chat, or of Discord with `/slack` behind its address. */
function slack(notice: Notice): Payload {
  const fence = '```';
  const title = `*${escapeSlack(subjectOf(notice))}*\n${fence}\n`;
  const most_bytes = SLACK_MOST_BYTES - Buffer.byteLength(`${title}\n${fence}`);
  const escaped = cutTo(most_bytes, escapeSlack(textOf(notice)).replaceAll(fence, "'''"));
  // Without half an escape at the end.
  const text = `${title}${escaped.replace(/&[a-z]*…$/, '…').trimEnd()}\n${fence}`;
  return { body: JSON.stringify({ text }), headers: { 'content-type': 'application/json' } };
}

/** https://docs.slack.dev/messaging/formatting-message-text#escaping: the only three that mean something. */
function escapeSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** ntfy makes an attachment of what is longer. https://docs.ntfy.sh/publish/#limitations */
const NTFY_BODY_MOST_BYTES = 4_000;

/** https://docs.ntfy.sh/publish: 5 rings, 3 is the default, 2 makes no sound. */
const NTFY = {
  failure: { priority: '5', tags: 'rotating_light' },
  incomplete: { priority: '4', tags: 'warning' },
  anomaly: { priority: '4', tags: 'warning' },
  recovered: { priority: '3', tags: 'white_check_mark' },
  drill: { priority: '3', tags: 'test_tube' },
  prune: { priority: '2', tags: 'broom' },
  success: { priority: '2', tags: 'white_check_mark' },
  start: { priority: '1', tags: 'hourglass' },
  test: { priority: '3', tags: 'test_tube' },
} as const satisfies Record<Notice['kind'], object>;

function ntfy(notice: Notice): Payload {
  const title = subjectOf(notice);
  // Headers are Latin-1 at best; ntfy reads an encoded word of RFC 2047.
  const isAscii = /^[ -~]*$/.test(title);
  const encoded = isAscii ? title : `=?UTF-8?B?${Buffer.from(title).toString('base64')}?=`;
  return {
    body: cutTo(NTFY_BODY_MOST_BYTES, textOf(notice)),
    headers: { 'content-type': 'text/plain; charset=utf-8', title: encoded, ...NTFY[notice.kind] },
  };
}

/** As much of the text as fits, without half a character at its end. */
export function cutTo(most_bytes: number, text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= most_bytes) return text;
  return `${bytes.toString('utf8', 0, most_bytes - 4).replace(/\uFFFD+$/, '')}…`;
}
