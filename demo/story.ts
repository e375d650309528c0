import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatSize } from '../src/domain/size.ts';
import { cofre } from './cofre.ts';
import { demoConfig } from './config.ts';
import { DaemonProcess, type LogLine } from './daemon-process.ts';
import type { ShopDatabase } from './database.ts';
import { writeUploads } from './files.ts';
import type { Narrator } from './narrate.ts';
import { abridgedHealth, interestingMetrics } from './observe.ts';
import { SHOP_RELATIONS } from './shop.ts';

export interface StoryOptions {
  database: ShopDatabase;
  /** Exists and is empty. */
  folder: string;
  narrator: Narrator;
  signal: AbortSignal;
}

/** The newest archive of each kind, by filename. */
export interface Newest {
  database: string;
  files: string;
}

/**
 * Runs the demo up to its end; what is left then. Throws when a step fails or the signal aborts. The daemon
 * has ended when it settles.
 */
export async function tellStory(options: StoryOptions): Promise<Newest> {
  return await new Story(options).tell();
}

class Story {
  readonly #database: ShopDatabase;
  readonly #folder: string;
  readonly #configPath: string;
  readonly #backups: string;
  readonly #narrator: Narrator;
  readonly #signal: AbortSignal;

  constructor({ database, folder, narrator, signal }: StoryOptions) {
    this.#database = database;
    this.#folder = folder;
    this.#configPath = join(folder, 'config.json');
    this.#backups = join(folder, 'backups');
    this.#narrator = narrator;
    this.#signal = signal;
  }

  async tell(): Promise<Newest> {
    await this.#setTheScene();
    let log: readonly LogLine[];
    {
      const { daemon } = this.#database;
      await using running = new DaemonProcess([...daemon, '--config', this.#configPath]);
      await this.#daemonStarts(running);
      await this.#firstRun(running);
      await this.#verification();
      await this.#manifest();
      await this.#healthAndMetrics(running);
      await this.#secondRun(running);
      await this.#retention(running);
      await this.#shutdown(running);
      log = running.lines;
    }
    const newest = await this.#newest();
    await this.#drill();
    await this.#restore(newest, log);
    return newest;
  }

  async #setTheScene(): Promise<void> {
    const narrator = this.#narrator;
    narrator.title('cofre, a demonstration: backups of a small shop, its database and its uploads.');
    narrator.say(this.#database.introduction);
    narrator.say(`Everything else is in ${this.#folder}`);

    narrator.heading('The configuration');
    const uploads = await writeUploads(join(this.#folder, 'uploads'));
    const text = JSON.stringify(demoConfig(this.#database.url), null, 2);
    await writeFile(this.#configPath, `${text}\n`, { mode: 0o600 });
    narrator.say(`The database shop has ${SHOP_RELATIONS.join(', ')}. The directory uploads has ${uploads}.`);
    narrator.command('cat config.json');
    narrator.quote(text);
  }

  async #daemonStarts(daemon: DaemonProcess): Promise<void> {
    this.#narrator.heading('The daemon');
    this.#narrator.command(this.#database.daemonCommand);
    await this.#follow(daemon, ({ step, job }) => step === 'start' && job === undefined, 'its start');
    while (daemon.url === undefined) await this.#follow(daemon, ({ step }) => step === 'http', 'its address');
    this.#narrator.say('It waits for the first due time; times are UTC.');
  }

  async #firstRun(daemon: DaemonProcess): Promise<void> {
    const narrator = this.#narrator;
    narrator.heading('The first scheduled run: a full backup of both');
    await this.#runEnds(daemon);
    if (this.#database.caveat !== undefined) narrator.say(this.#database.caveat);
    narrator.say(
      'Each archive was written, flushed to disk, read again and compared, and only then got its name. ' +
        'Two archives, and a manifest of each:',
    );
    narrator.command('ls backups/*');
    narrator.quote((await filesBelow(this.#backups, ['database', 'files', 'manifests'])).join('\n'));
  }

  async #verification(): Promise<void> {
    this.#narrator.heading('Verification: every archive, decoded to its end and compared once more');
    await this.#type(['verify', '--all']);
  }

  async #manifest(): Promise<void> {
    const narrator = this.#narrator;
    narrator.heading('The manifest: what is known of an archive');
    const { database, files } = await this.#newest();
    await this.#type(['show', database]);
    narrator.blank();
    await this.#type(['show', files]);
  }

  async #healthAndMetrics({ url }: DaemonProcess): Promise<void> {
    const narrator = this.#narrator;
    narrator.heading('Health and metrics');
    narrator.command(`curl ${url}/health     # abridged`);
    narrator.quote(await abridgedHealth(`${url}/health`, this.#signal));
    narrator.command(`curl ${url}/metrics    # a few of them`);
    narrator.quote(await interestingMetrics(`${url}/metrics`, this.#signal));
  }

  async #secondRun(daemon: DaemonProcess): Promise<void> {
    this.#narrator.heading('The second run');
    await this.#runEnds(daemon);
    await this.#type(['list']);
  }

  async #retention(daemon: DaemonProcess): Promise<void> {
    this.#narrator.heading('Retention: a schedule of its own, here with keepLast 1 and no days');
    const removed = new Set<string>();
    await this.#follow(
      daemon,
      ({ step, filename }) => {
        if (step === 'prune' && filename !== undefined) removed.add(filename);
        return removed.size === 2;
      },
      'the removal of the older archives',
    );
  }

  async #shutdown(daemon: DaemonProcess): Promise<void> {
    const narrator = this.#narrator;
    narrator.heading('A clean shutdown');
    narrator.command(`kill -TERM ${daemon.pid}`);
    await daemon.stop();
    await this.#follow(daemon, ({ msg }) => msg === 'cofre has stopped', 'its end');
    if (daemon.exitCode !== 0) throw new Error(`the daemon exited with status ${daemon.exitCode}`);
    narrator.say('Exit status 0. The commands work without the daemon as they do beside it:');
    await this.#type(['list']);
  }

  async #drill(): Promise<void> {
    const narrator = this.#narrator;
    narrator.heading('The proof: each archive is restored into something thrown away, and compared');
    if (!this.#database.drillable) {
      narrator.say(
        'A dump takes the server programs of PostgreSQL, which are not on this machine; the files need nothing.',
      );
    }
    await this.#type(['drill', '--latest', ...(this.#database.drillable ? ['shop'] : []), 'uploads']);
  }

  async #restore({ database: archive }: Newest, log: readonly LogLine[]): Promise<void> {
    const narrator = this.#narrator;
    narrator.heading('A restore by hand: no cofre is running, and none is needed');
    const path = join(this.#backups, 'database', archive);
    narrator.command(this.#database.restoreCommand(`backups/database/${archive}`));
    const restored = await this.#database.restore(path, this.#signal);
    const original = await this.#database.sourceRows(log);
    for (const relation of SHOP_RELATIONS) {
      const [before, after] = [original[relation] ?? 0, restored[relation] ?? 0];
      narrator.quote(`${relation.padEnd(17)} ${String(before).padStart(5)} rows, restored ${after}`);
      if (before !== after || before === 0) throw new Error(`the restore of ${relation} is not complete`);
    }
    narrator.say('The same number of rows in each table, and in the view.');
  }

  async #runEnds(daemon: DaemonProcess): Promise<void> {
    const { outcome } = await this.#follow(
      daemon,
      ({ step, job }) => step === 'end' && job === 'shop',
      'a run',
    );
    if (outcome !== 'succeeded') throw new Error(`the run ended as ${outcome}`);
  }

  /** Tells the daemon's log until a line fits. */
  async #follow(daemon: DaemonProcess, fits: (line: LogLine) => boolean, what: string): Promise<LogLine> {
    const onLine = (line: LogLine) => this.#narrator.logged(line);
    return await daemon.follow(fits, { what, signal: this.#signal, onLine });
  }

  async #type(args: readonly string[]): Promise<void> {
    this.#narrator.command(['cofre', ...args].join(' '));
    this.#narrator.quote(await cofre(args, this.#configPath, this.#signal));
  }

  async #newest(): Promise<Newest> {
    const answer = await cofre(['list', '--json'], this.#configPath, this.#signal);
    const { backups } = JSON.parse(answer) as { backups: { type: string; filename: string }[] };
    const newestOf = (wanted: string) => backups.findLast(({ type }) => type === wanted)?.filename;
    const [database, files] = [newestOf('database'), newestOf('files')];
    if (database === undefined || files === undefined) throw new Error('an archive is missing from the list');
    return { database, files };
  }
}

/** Name and size of each file in some directories, as `ls` would group them. */
async function filesBelow(parent: string, directories: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  for (const directory of directories) {
    for (const name of (await readdir(join(parent, directory))).sort()) {
      if (name.startsWith('.')) continue;
      const { size } = await stat(join(parent, directory, name));
      lines.push(`${formatSize(size).padStart(9)}  ${directory}/${name}`);
    }
  }
  return lines;
}
