import type { Answer } from '../answer.ts';
import { publishIndex } from '../publish-index.ts';
import type { Session } from '../session.ts';

/** `cofre pin|unpin FILENAME`: exempts a backup from pruning and deletion, or ends that. */
export async function pin(session: Session, filename: string, pinned: boolean): Promise<Answer> {
  const app = await session.open();
  await app.context.catalogue.update(filename, (manifest) => ({ ...manifest, pinned }), session.signal);
  await publishIndex(app);
  const text = pinned ? `${filename} is pinned: nothing deletes it` : `${filename} is no longer pinned`;
  return { status: 0, json: { success: true, filename, pinned }, text };
}
