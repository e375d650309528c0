import { acknowledge as acknowledgeAnomaly, type Acknowledgement } from '../../engine/acknowledge.ts';
import type { Answer } from '../answer.ts';
import { publishIndex } from '../publish-index.ts';
import type { Session } from '../session.ts';

/** `cofre acknowledge FILENAME`: says that the anomaly of a backup, and those like it before, is meant. */
export async function acknowledge(session: Session, filename: string): Promise<Answer> {
  const app = await session.open();
  const result = await acknowledgeAnomaly(app.context, filename, session.actor, session.signal);
  await publishIndex(app);
  return { status: 0, json: { acknowledged: result.acknowledged }, text: describe(filename, result) };
}

function describe(filename: string, { acknowledged, anomaly, heldFor }: Acknowledgement): string {
  const { baseline, acknowledged: earlier } = anomaly;
  const lines = acknowledged.map((name) => `the anomaly of ${name} is acknowledged`);
  if (!acknowledged.includes(filename)) {
    const by = earlier === undefined ? '' : `, at ${earlier.at} by ${earlier.actor}`;
    lines.push(`the anomaly of ${filename} was acknowledged already${by}`);
  }
  lines.push(
    heldFor === undefined
      ? `retention decides about ${baseline} again`
      : `${baseline} is still kept because of ${heldFor}, which nobody has acknowledged`,
  );
  return lines.join('\n');
}
