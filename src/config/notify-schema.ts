/** Who is told what. Messages state what is allowed (see leaves.ts). */
import * as z from 'zod/mini';
import { SOURCE_NAME } from '../domain/archive-name.ts';
import { TOPICS } from '../domain/notice.ts';
import { described, optional, withDefault } from '../lib/described.ts';
import { choice, count, duration, list, matching, section, text } from './leaves.ts';
import { NAME_ALLOWED, secretOf } from './source-schema.ts';

export const HOOK_URL_ALLOWED = 'a URI beginning with https:// or http://';
export const HOOK_URL_START = /^https?:\/\/[^/\s]/i;
export const PASSWORD_ALLOWED = 'text of 1 to 1024 characters on one line';
export const PASSWORD_PATTERN = /^[^\p{Cc}]{1,1024}$/u;
export const BEARER_ALLOWED = 'a token of 1 to 1024 printable ASCII characters without spaces';
export const BEARER_PATTERN = /^[!-~]{1,1024}$/;

function reference(pattern: RegExp, plain: string) {
  const allowed = `exactly one of {"env": NAME}, {"file": PATH} or {"credential": NAME}; or ${plain}`;
  return secretOf(matching(pattern, allowed), allowed);
}
export const hookUrlSchema = () => reference(HOOK_URL_START, HOOK_URL_ALLOWED);
export const passwordSchema = () => reference(PASSWORD_PATTERN, PASSWORD_ALLOWED);
export const bearerSchema = () => reference(BEARER_PATTERN, BEARER_ALLOWED);

/** Longer than a run takes, so that a daily job that keeps failing is told of daily. */
const DEFAULT_REPEAT = '20h';
/** One of them, which a comma would make two; what else an address may be is the affair of the mail server. */
const PLAIN_ADDRESS = String.raw`[^\p{Cc}\s<>@,;]+@[^\p{Cc}\s<>@,;]+`;
const ADDRESS = new RegExp(
  String.raw`^(?:${PLAIN_ADDRESS}|(?:"[^"\p{Cc}]+"|[^\p{Cc}<>@,;"]+) <${PLAIN_ADDRESS}>)$`,
  'u',
);
const ADDRESS_ALLOWED = 'an address such as "ops@example.org" or "Backups <ops@example.org>"';

const shared = () => ({
  name: optional(
    matching(SOURCE_NAME, NAME_ALLOWED),
    'What log, metrics and `cofre notify test` call it, unique; its `type` when absent.',
  ),
  on: optional(list(choice(TOPICS), 'an array of at least one event'), 'What it is told of.'),
  jobs: optional(
    list(matching(SOURCE_NAME, 'the name of a job'), 'an array of at least one name of a job'),
    'Only what concerns these jobs; all of them, and the maintenance too, when absent.',
  ),
});
const repeat = () =>
  withDefault(duration(0), DEFAULT_REPEAT, 'How long the same trouble of a job is not told again.');

const SMTP_ALLOWED = 'an object with `host`';
const smtpSchema = () =>
  section(
    {
      host: described(matching(/^[^\s/:@]+$|^[\da-f:]+$/i, 'a host name or address'), 'The mail server.'),
      port: optional(
        count(1, 65_535),
        'Its port: 587, 465 with `"tls": "implicit"`, or 25 with `"tls": "none"` when absent.',
      ),
      tls: optional(
        choice(['starttls', 'implicit', 'none']),
        '`starttls`: encrypted or not at all; `implicit`: encrypted from the first byte; `none`: in clear text, without a password. On port 465 `implicit` when absent, else `starttls`.',
      ),
      ca: optional(
        text('the path of a file'),
        'File with the certificates to trust, PEM, in place of those that Node.js knows.',
      ),
      user: optional(text('a user name'), 'Whom to log in as; without, nobody logs in.'),
      password: optional(
        passwordSchema(),
        'The password, as a reference to a secret. In plain text it is accepted with a warning.',
      ),
    },
    SMTP_ALLOWED,
  );

const emailSchema = () =>
  section(
    {
      type: described(z.literal('email'), 'A mail.'),
      ...shared(),
      repeat: repeat(),
      smtp: described(smtpSchema(), 'The mail server, and how to talk to it.'),
      from: described(matching(ADDRESS, ADDRESS_ALLOWED), 'The address that mails come from.'),
      to: described(
        list(matching(ADDRESS, ADDRESS_ALLOWED), 'an array of at least one address'),
        'The addresses that mails go to.',
      ),
    },
    'an object describing a notifier',
  );

const URL_DESCRIPTION =
  'Where to send it, as a reference to a secret: whoever knows the address can send there. In plain text it is accepted with a warning.';

const webhookSchema = () =>
  section(
    {
      type: described(z.literal('webhook'), 'A request to a program that listens on HTTP.'),
      ...shared(),
      repeat: repeat(),
      url: described(hookUrlSchema(), URL_DESCRIPTION),
      format: withDefault(
        choice(['json', 'slack', 'ntfy']),
        'json',
        'What the receiver understands: `json`, a hook of Slack and what is like it, or a topic of ntfy.',
      ),
      secret: optional(
        passwordSchema(),
        'Sign each message with it, in `X-Cofre-Signature`. A reference to a secret.',
      ),
      token: optional(bearerSchema(), 'Sent as `Authorization: Bearer …`. A reference to a secret.'),
    },
    'an object describing a notifier',
  );

const healthchecksSchema = () =>
  section(
    {
      type: described(z.literal('healthchecks'), 'Pings in the style of healthchecks.io.'),
      ...shared(),
      url: described(hookUrlSchema(), URL_DESCRIPTION),
    },
    'an object describing a notifier',
  );

/** Made when there are notifiers: every command reads the configuration, and few have to do with these. */
export const notifySchema = z.lazy(() =>
  z.array(
    z.discriminatedUnion('type', [emailSchema(), webhookSchema(), healthchecksSchema()], {
      error: (issue) =>
        issue.code === 'invalid_union'
          ? '"email", "webhook", "healthchecks"'
          : 'an object describing a notifier',
    }),
    'an array of notifiers',
  ),
);

export type NotifyInput = z.infer<typeof notifySchema>;
