import { plural } from '../../domain/plural.ts';
import { rebuildCatalogue, type RebuildResult } from '../../engine/rebuild.ts';
import type { Answer } from '../answer.ts';
import { openProgress } from '../progress.ts';
import { publishIndex } from '../publish-index.ts';
import type { Session } from '../session.ts';

/** `cofre catalogue rebuild`: makes manifests anew for archives that lost theirs, and the index. */
export async function catalogueRebuild(session: Session): Promise<Answer> {
  const app = await session.open();
  const { actor, signal } = session;
  const jobs = new Map(
    app.jobs.flatMap(({ job }) => job.sources.map(({ name }) => [name, job.name] as const)),
  );
  let result: RebuildResult;
  {
    using progress = openProgress(!session.json);
    const jobOf = (source: string) => jobs.get(source);
    result = await rebuildCatalogue(app.context, { trigger: 'cli', actor, jobOf, progress }, signal);
  }
  await publishIndex(app);
  const { rebuilt, faults } = result;
  return {
    status: faults.length === 0 ? 0 : 1,
    json: { rebuilt, faults, count: rebuilt.length },
    text: describe(result),
  };
}

function describe({ rebuilt, faults }: RebuildResult): string {
  if (rebuilt.length + faults.length === 0) return 'every archive has its manifest';
  const summary = `${plural(rebuilt.length, 'manifest')} rebuilt`;
  return [
    ...rebuilt.map((filename) => `ok     ${filename}`),
    ...faults.map(({ filename, detail }) => `FAULT  ${filename}  ${detail}`),
    faults.length === 0 ? summary : `${summary}, ${plural(faults.length, 'fault')}`,
  ].join('\n');
}
