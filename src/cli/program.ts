import { Command, CommanderError } from 'commander';
import { VERSION } from '../version.ts';
import { BackupError } from '../domain/errors.ts';
import type { LogLevel } from '../lib/log-level.ts';
import { type Answer, type ExitStatus, printAnswer, printError } from './answer.ts';
import type { DrillFlags } from './commands/drill.ts';
import type { ListFlags } from './commands/list.ts';
import type { PruneFlags } from './commands/prune.ts';
import type { RestoreFlags } from './commands/restore.ts';
import type { VerifyFlags } from './commands/verify.ts';
import type { CommonFlags, Session } from './session.ts';

type Work = (session: Session) => Promise<Answer> | Answer;

/** Runs one command line and returns its exit status. Never throws. */
export async function runCli(argv: readonly string[]): Promise<ExitStatus> {
  const json = argv.includes('--json');
  endWithReader(process.stdout);
  endWithReader(process.stderr);
  let status: ExitStatus = 0;
  const program = createProgram(async (flags, work, level) => {
    status = await runCommand(flags, work, level);
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return status;
  } catch (error) {
    if (!(error instanceof CommanderError)) return printError(error, json);
    // --help and --version also end this way.
    if (error.exitCode === 0) return 0;
    const isBare = error.code === 'commander.help';
    const message = isBare ? 'no command given' : error.message.replace(/^error: /, '').replaceAll('\n', ' ');
    return printError(new BackupError('USAGE', message, { hint: 'See `cofre --help`.' }), json);
  }
}

/** `cofre list | head`: a reader that has seen enough is no fault. Any other error of the stream is thrown. */
function endWithReader(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

async function runCommand(flags: CommonFlags, work: Work, level: LogLevel): Promise<ExitStatus> {
  const json = flags.json === true;
  const stop = new AbortController();
  const onSignal = () => stop.abort(new BackupError('CANCELLED', 'cancelled by a signal'));
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    const { createSession } = await import('./session.ts');
    const answer = await work(createSession(flags, stop.signal, level));
    printAnswer(answer, json);
    return answer.status;
  } catch (error) {
    return printError(error, json);
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

/** All commands and flags. @param run is called with what the chosen command is to do. */
export function createProgram(
  run: (flags: CommonFlags, work: Work, level: LogLevel) => Promise<void>,
): Command {
  const program = new Command('cofre')
    .description('Backups of PostgreSQL databases and directories: scheduled, verified, pruned, observable.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .showHelpAfterError(false)
    .enablePositionalOptions();

  // On a terminal the answer says it all; elsewhere (cron, CI) the log is what remains.
  const quiet: LogLevel = process.stderr.isTTY ? 'silent' : 'info';
  const command = (name: string, description: string, parent = program) =>
    parent
      .command(name)
      .description(description)
      .option('-c, --config <file>', 'the configuration file')
      .option('--json', 'one JSON document on stdout');

  // Each command is loaded when it is run, so that none pays for the others at its start.
  command('daemon', 'run the schedules until SIGTERM').action((flags: CommonFlags) =>
    run(flags, async (session) => (await import('./commands/daemon.ts')).daemon(session), 'info'),
  );
  command('backup', 'run jobs now: those named, or every enabled one')
    .argument('[job...]')
    .action((jobs: string[], flags: CommonFlags) =>
      run(flags, async (session) => (await import('./commands/backup.ts')).backup(session, jobs), quiet),
    );
  command('list', 'list the backups, oldest first')
    .option('--type <type>', 'database or files')
    .option('--source <name>', 'only those of one source')
    .action((flags: CommonFlags & ListFlags) =>
      run(flags, async (session) => (await import('./commands/list.ts')).list(session, flags), quiet),
    );
  command('show', 'show what is recorded of one backup')
    .argument('<filename>')
    .action((filename: string, flags: CommonFlags) =>
      run(flags, async (session) => (await import('./commands/show.ts')).show(session, filename), quiet),
    );
  command('diff', 'show what of one backup is not as in another of its type')
    .argument('<a>')
    .argument('<b>')
    .action((a: string, b: string, flags: CommonFlags) =>
      run(flags, async (session) => (await import('./commands/diff.ts')).diff(session, a, b), quiet),
    );
  command('verify', 'read archives again and compare them with what was written')
    .argument('[filename...]')
    .option('--all', 'every archive, and whether any is missing')
    .option('--level <level>', 'checksum or contents', 'contents')
    .action((filenames: string[], flags: CommonFlags & VerifyFlags) =>
      run(
        flags,
        async (session) => (await import('./commands/verify.ts')).verify(session, filenames, flags),
        quiet,
      ),
    );
  command('restore', 'put one archive back: a database, or files')
    .argument('[filename]')
    .option('--to <place>', 'where to: a connection URI, or a directory for files')
    .option('--latest <source>', 'the newest archive of a source that verifies')
    .option('--at <time>', 'with --latest: the newest one at that time')
    .option('--dry-run', 'only say what would be done')
    .option('--create', 'make the database')
    .option('--clean', 'put it in the place of what is there, once it is restored')
    .option('--jobs <count>', 'custom and directory format: connections that restore at once (default 2)')
    .option('--schema <name...>', 'custom and directory format: only these schemas')
    .option('--table <name...>', 'custom and directory format: only these tables')
    .option(
      '--globals [filename]',
      'roles and tablespaces first, of the archive that belongs to it or of this one',
    )
    .option('--no-owner', 'leave owners and privileges out')
    .option('--no-transaction', 'plain format: keep what was restored before an error')
    .option('--force-source', 'also into the database that the archive was taken from')
    .option('--path <glob...>', 'files: only these, with what is below them')
    .option('--overwrite', 'files: merge into a directory that is not empty')
    .option('--outside-links', 'files: also links that lead out of the target')
    .action((filename: string | undefined, flags: CommonFlags & RestoreFlags) =>
      run(
        flags,
        async (session) => (await import('./commands/restore.ts')).restore(session, filename, flags),
        quiet,
      ),
    );
  command('drill', 'prove that archives restore, by restoring them into something thrown away')
    .argument('[filename...]')
    .option('--latest <source...>', 'the newest archive of each of these sources that verifies')
    .option('--all', 'every archive')
    .action((filenames: string[], flags: CommonFlags & DrillFlags) =>
      run(
        flags,
        async (session) => (await import('./commands/drill.ts')).drill(session, filenames, flags),
        quiet,
      ),
    );
  command('delete', 'delete one backup, unless it is pinned')
    .argument('<filename>')
    .action((filename: string, flags: CommonFlags) =>
      run(
        flags,
        async (session) => (await import('./commands/delete.ts')).deleteBackup(session, filename),
        quiet,
      ),
    );
  command('prune', 'apply the retention now')
    .option('--dry-run', 'only say what would be kept and removed, and why')
    .option('--force', 'also remove more than half of a series in one go')
    .action((flags: CommonFlags & PruneFlags) =>
      run(flags, async (session) => (await import('./commands/prune.ts')).prune(session, flags), quiet),
    );
  command('pin', 'keep a backup whatever the retention says')
    .argument('<filename>')
    .action((filename: string, flags: CommonFlags) =>
      run(flags, async (session) => (await import('./commands/pin.ts')).pin(session, filename, true), quiet),
    );
  command('unpin', 'let retention decide about a pinned backup again')
    .argument('<filename>')
    .action((filename: string, flags: CommonFlags) =>
      run(flags, async (session) => (await import('./commands/pin.ts')).pin(session, filename, false), quiet),
    );
  command(
    'acknowledge',
    'say that the anomaly of a backup, and those before it with the same cause, is meant',
  )
    .argument('<filename>')
    .action((filename: string, flags: CommonFlags) =>
      run(
        flags,
        async (session) => (await import('./commands/acknowledge.ts')).acknowledge(session, filename),
        quiet,
      ),
    );
  command('check', 'look for everything that would make a backup fail').action((flags: CommonFlags) =>
    run(flags, async (session) => (await import('./commands/check.ts')).check(session), quiet),
  );
  command('schedule', 'show the next runs').action((flags: CommonFlags) =>
    run(flags, async (session) => (await import('./commands/schedule.ts')).schedule(session), quiet),
  );
  const catalogue = program.command('catalogue').description('about the manifests of the backups');
  command('rebuild', 'make manifests anew for archives that lost theirs', catalogue).action(
    (flags: CommonFlags) =>
      run(
        flags,
        async (session) => (await import('./commands/catalogue-rebuild.ts')).catalogueRebuild(session),
        quiet,
      ),
  );
  const config = program.command('config').description('about the configuration');
  command('schema', 'print its JSON Schema', config).action((flags: CommonFlags) =>
    run(flags, async () => (await import('./commands/config-schema.ts')).configSchema(), quiet),
  );
  const notify = program.command('notify').description('about the notifications');
  command('test', 'send one message to each notifier, or to those named', notify)
    .argument('[name...]')
    .action((names: string[], flags: CommonFlags) =>
      run(
        flags,
        async (session) => (await import('./commands/notify-test.ts')).notifyTest(session, names),
        quiet,
      ),
    );
  for (const each of [...program.commands, ...catalogue.commands, ...config.commands, ...notify.commands])
    each.exitOverride().configureOutput({ writeErr: () => undefined });
  return program;
}
