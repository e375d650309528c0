import { testNotifiers } from '../../compose-notify.ts';
import type { Answer } from '../answer.ts';
import type { Session } from '../session.ts';

/** `cofre notify test [NAME…]`: sends one message to each notifier, without trying again. */
export async function notifyTest(session: Session, names: readonly string[]): Promise<Answer> {
  const { config, warnings } = await session.load();
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  const results = await testNotifiers(config, names, session.signal);
  const width = Math.max(...results.map(({ notifier }) => notifier.length));
  return {
    status: results.every(({ ok }) => ok) ? 0 : 1,
    json: { results },
    text: results
      .map(({ notifier, ok, detail }) => `${ok ? 'ok    ' : 'FAILED'}  ${notifier.padEnd(width)}  ${detail}`)
      .join('\n'),
  };
}
