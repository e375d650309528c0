import { join } from 'node:path';
import type { Narrator } from './narrate.ts';
import type { Newest } from './story.ts';

/** Says what happened, what is left, and what to type next; every command can be pasted into the checkout's shell. */
export function tellNextSteps(narrator: Narrator, folder: string, { database, files }: Newest): void {
  const config = `--config ${quoted(join(folder, 'config.json'))}`;
  narrator.heading('What happened, and what to type next');
  narrator.say(
    'The daemon ran full backups by schedule, verified each, served health and metrics, removed the older ' +
      'archives and stopped. It is gone, and so is the database. This folder is left, with config.json, ' +
      'uploads and backups:',
  );
  narrator.quote(folder);
  narrator.say('Look at what it holds:');
  narrator.quote(
    [
      `npm run -s cofre -- list ${config}`,
      `npm run -s cofre -- verify --all ${config}`,
      `npm run -s cofre -- show ${database} ${config}`,
      `npm run -s cofre -- drill --all ${config}`,
      `npm run -s cofre -- restore ${files} --to restored ${config}`,
    ].join('\n'),
  );
  narrator.say('Restore it by hand, into a database and a directory of your own:');
  const dump = quoted(join(folder, 'backups', 'database', database));
  const tar = quoted(join(folder, 'backups', 'files', files));
  narrator.quote(
    [
      `createdb shop_again && gunzip -c ${dump} | psql -d shop_again`,
      `mkdir again && tar xzf ${tar} -C again`,
    ].join('\n'),
  );
  narrator.say('Throw it away:');
  narrator.quote(`rm -r ${quoted(folder)}`);
  narrator.say(
    'For backups of what is yours, start from config.example.json; `npm run -s cofre -- check` says what is amiss.',
  );
}

/** For a shell, where the temporary directory has an unusual name. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
