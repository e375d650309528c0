import type { App } from '../compose.ts';
import type { Session } from './session.ts';

/** Does what a command does that notifiers may want to hear of, and tells them where no daemon does. */
export async function telling<T>(session: Session, app: App, work: () => Promise<T>): Promise<T> {
  if (app.config.notify.length === 0) return await work();
  const { whileTelling } = await import('../compose-notify.ts');
  return await whileTelling(app, await session.openLog(), session.signal, work);
}
