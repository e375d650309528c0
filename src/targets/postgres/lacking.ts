import type { DumpNeeds } from '../../domain/dump-survey.ts';
import type { Lacking } from '../../domain/restore-ports.ts';
import { missingOnServer } from '../../postgres/server-inventory.ts';
import type { Session } from '../../postgres/session.ts';

/** Names that the server keeps for itself. */
const RESERVED = /^pg_/;

/** What a dump needs and this server does not have. */
export async function findLacking(session: Session, needs: DumpNeeds): Promise<Lacking> {
  const missing = async (kind: keyof Lacking): Promise<string[]> =>
    (await missingOnServer(session, kind, needs[kind])).filter((name) => !RESERVED.test(name));
  return {
    roles: await missing('roles'),
    extensions: await missing('extensions'),
    tablespaces: await missing('tablespaces'),
  };
}
