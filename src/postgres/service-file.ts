import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { BackupError } from '../domain/errors.ts';
import { assertKeyword } from './connection-uri.ts';

/** Where libpq's builds look for the system's file when PGSYSCONFDIR is not set: Debian, RPM, from source. */
const SYSTEM_DIRECTORIES = ['/etc/postgresql-common', '/etc/sysconfig/pgsql', '/usr/local/pgsql/etc'];

/**
 * The keywords of a service: from `servicefile` (or PGSERVICEFILE, or ~/.pg_service.conf), else from the
 * system's file. Throws CONFIG_INVALID when no file defines it.
 */
export async function readService(
  service: string,
  servicefile: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<Map<string, string>> {
  const userFile = servicefile ?? join(env['HOME'] ?? homedir(), '.pg_service.conf');
  const { PGSYSCONFDIR: systemDirectory } = env;
  const directories = systemDirectory === undefined ? SYSTEM_DIRECTORIES : [systemDirectory];
  const files = [userFile, ...directories.map((directory) => join(directory, 'pg_service.conf'))];
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    const values = text === undefined ? undefined : parseService(text, service, file);
    if (values !== undefined) return values;
  }
  throw new BackupError('CONFIG_INVALID', `the connection service "${service}" is not defined`, {
    hint: `Define [${service}] in one of: ${files.join(', ')}.`,
  });
}

/** The `name=value` lines below `[service]`, or undefined when the text has no such section. */
function parseService(text: string, service: string, file: string): Map<string, string> | undefined {
  let values: Map<string, string> | undefined;
  for (const rawLine of text.split('\n')) {
    const line = rawLine.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('[')) {
      if (values !== undefined) return values;
      if (line === `[${service}]`) values = new Map();
    } else if (values !== undefined) {
      const equals = line.indexOf('=');
      const name = equals === -1 ? '' : assertKeyword(line.slice(0, equals), `the service file ${file}`);
      if (name === '' || name === 'service' || name === 'servicefile') {
        throw new BackupError('CONFIG_INVALID', `the service file ${file} has a malformed line`, {
          path: file,
          hint: `Below [${service}], write lines of name=value; LDAP and nested services are not supported.`,
        });
      }
      // libpq lets the first of two equal names win.
      if (!values.has(name)) values.set(name, line.slice(equals + 1));
    }
  }
  return values;
}
