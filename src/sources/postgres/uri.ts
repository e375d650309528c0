import { BackupError } from '../../domain/errors.ts';
import { parseConnectionUri } from '../../postgres/connection-uri.ts';

/** Before anything runs: what is wrong with the text of a URI no later attempt makes right. Throws CONFIG_INVALID. */
export function assertUri(source: string, url: string): void {
  try {
    parseConnectionUri(url);
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    const { code, message, hint = '' } = error;
    throw new BackupError(code, `source ${source}: ${message}`, { hint, path: source, cause: error });
  }
}
