import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config, NotifierConfig } from './config/config.ts';
import type { Finding } from './domain/ports.ts';

/** What can be said of the notifiers without sending anything. */
export function checkNotifiers({ notify }: Config): Finding[] {
  return notify.flatMap((config): Finding[] => {
    const path = `notify.${config.name}`;
    const ok: Finding = { severity: 'info', code: 'OK', path, message: describeNotifier(config), hint: '' };
    return [ok, ...faultsOf(config, path)];
  });
}

/** Without what is secret: of an address only its host. */
export function describeNotifier(config: NotifierConfig): string {
  switch (config.type) {
    case 'email': {
      const { host, port, tls, to } = config;
      return `a mail to ${to.join(', ')} through ${host}:${port} (${tls === 'none' ? 'no TLS' : tls})`;
    }
    case 'webhook':
      return `a message (${config.format}) to ${new URL(config.url).host}`;
    case 'healthchecks':
      return `a ping to ${new URL(config.url).host}`;
    default:
      return config satisfies never;
  }
}

function faultsOf(config: NotifierConfig, path: string): Finding[] {
  if (config.type === 'email') return config.ca === undefined ? [] : certificateFaults(config.ca, path);
  const { protocol, hostname: host } = new URL(config.url);
  if (protocol === 'https:' || /^(?:localhost|127\.[\d.]+|\[::1\])$/.test(host)) return [];
  return [
    {
      severity: 'warning',
      code: 'CONFIG_INVALID',
      path,
      message: `what is sent to ${host}, tokens included, passes over the network in clear text`,
      hint: 'Use an address that begins with https://.',
    },
  ];
}

function certificateFaults(ca: string, path: string): Finding[] {
  const finding = (severity: Finding['severity'], reason: string): Finding[] => [
    {
      severity,
      code: 'NOTIFY_FAILED',
      path,
      message: `the certificates ${ca} cannot be used: ${reason}`,
      hint: 'Correct `smtp.ca`, or let the user that runs cofre read the file.',
    },
  ];
  try {
    const { validTo } = new X509Certificate(readFileSync(ca));
    return Date.parse(validTo) < Date.now() ? finding('warning', `the first expired at ${validTo}`) : [];
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    return finding('error', code.startsWith('ERR_') || code === '' ? 'no certificate in PEM' : code);
  }
}
