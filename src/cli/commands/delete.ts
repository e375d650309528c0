import { deleteArchive } from '../../engine/delete.ts';
import type { Answer } from '../answer.ts';
import { publishIndex } from '../publish-index.ts';
import type { Session } from '../session.ts';

/** `cofre delete FILENAME`: deletes one backup; only a pin refuses. */
export async function deleteBackup(session: Session, filename: string): Promise<Answer> {
  const app = await session.open();
  const { actor, signal } = session;
  await deleteArchive(app.context, filename, { trigger: 'cli', actor }, signal);
  await publishIndex(app);
  return { status: 0, json: { success: true, filename }, text: `${filename} is deleted` };
}
