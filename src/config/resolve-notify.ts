/** From what the file says of notifiers to what the program uses. As in resolve.ts nothing here can fail. */
import { resolve } from 'node:path';
import { parseDuration } from '../domain/duration.ts';
import type { Topic } from '../domain/notice.ts';
import type { EmailConfig, NotifierConfig } from './config.ts';
import { formatPath, type KeyPath } from './faults.ts';
import { notifierNames } from './notify-checks.ts';
import type { NotifyInput } from './notify-schema.ts';
import type { Surroundings } from './resolve.ts';

type Input = NotifyInput[number];
type EmailInput = Extract<Input, { type: 'email' }>;

/** What people want to be told of unless they say otherwise. */
const TOPICS_OF_PEOPLE: readonly Topic[] = ['failure', 'incomplete', 'anomaly', 'recovered'];

/** What a check needs to know whether it is up or down. */
const TOPICS_OF_CHECKS: readonly Topic[] = ['failure', 'incomplete', 'success'];

const PORTS = { starttls: 587, implicit: 465, none: 25 } as const satisfies Record<
  EmailConfig['tls'],
  number
>;

export function resolveNotify(inputs: NotifyInput, surroundings: Surroundings): NotifierConfig[] {
  const names = notifierNames(inputs);
  return inputs.map((input, index) => resolveNotifier(input, names[index] ?? '', index, surroundings));
}

function resolveNotifier(
  input: Input,
  name: string,
  index: number,
  { directory, secrets }: Surroundings,
): NotifierConfig {
  const secretAt = (...path: KeyPath) => secrets.get(formatPath(['notify', index, ...path]));
  const common = { name, ...(input.jobs === undefined ? {} : { jobs: input.jobs }) };
  switch (input.type) {
    case 'email': {
      const { on = [...TOPICS_OF_PEOPLE], repeat, from, to } = input;
      const repeat_ms = parseDuration(repeat) ?? 0;
      const smtp = resolveSmtp(input, directory, secretAt('smtp', 'password'));
      return { type: 'email', ...common, on, repeat_ms, ...smtp, from, to };
    }
    case 'webhook': {
      const { on = [...TOPICS_OF_PEOPLE], repeat, format } = input;
      const repeat_ms = parseDuration(repeat) ?? 0;
      const [secret, token] = [secretAt('secret'), secretAt('token')];
      return {
        type: 'webhook',
        ...common,
        on,
        repeat_ms,
        url: secretAt('url') ?? '',
        format,
        ...(secret === undefined ? {} : { secret }),
        ...(token === undefined ? {} : { token }),
      };
    }
    case 'healthchecks': {
      const { on = [...TOPICS_OF_CHECKS] } = input;
      // Each run is one ping.
      return { type: 'healthchecks', ...common, on, repeat_ms: 0, url: secretAt('url') ?? '' };
    }
    default:
      return input satisfies never;
  }
}

function resolveSmtp({ smtp }: EmailInput, directory: string, password: string | undefined) {
  const { host, user, ca } = smtp;
  const tls = smtp.tls ?? (smtp.port === PORTS.implicit ? 'implicit' : 'starttls');
  return {
    host,
    port: smtp.port ?? PORTS[tls],
    tls,
    ...(ca === undefined ? {} : { ca: resolve(directory, ca) }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
  };
}
