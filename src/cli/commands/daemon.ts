import type { App } from '../../compose.ts';
import { composeDaemon } from '../../compose-daemon.ts';
import { toBackupError } from '../../domain/errors.ts';
import { SHUTDOWN_DEADLINE_MS } from '../../daemon/daemon.ts';
import type { Answer } from '../answer.ts';
import type { Session } from '../session.ts';

/** `cofre daemon`: runs until SIGTERM or SIGINT; SIGHUP reads the configuration again. */
export async function daemon(session: Session): Promise<Answer> {
  // From the first moment, for without a listener SIGHUP ends the process; the file it means is being read anyway.
  process.on('SIGHUP', ignoreHangup);
  const log = await session.openLog();
  const loaded = await session.load();
  for (const warning of loaded.warnings) log.warn({ step: 'config' }, warning);
  log.info({ step: 'config', path: loaded.path }, `configuration read from ${loaded.path}`);
  const app: App = await session.openLoaded(loaded, { create: true });
  const running = composeDaemon(app, log);
  const onHangup = () => {
    void running.reload(async () => {
      const next = await session.load();
      for (const warning of next.warnings) log.warn({ step: 'config' }, warning);
      return next.config;
    });
  };
  process.on('SIGHUP', onHangup).off('SIGHUP', ignoreHangup);
  const onStop = () => {
    // Something that hangs beyond every deadline must not keep the service manager waiting.
    setTimeout(() => {
      log.fatal({ step: 'stop' }, 'the shutdown took too long: giving up');
      process.exit(1);
    }, SHUTDOWN_DEADLINE_MS).unref();
  };
  session.signal.addEventListener('abort', onStop, { once: true });
  try {
    await running.run(session.signal);
  } catch (error) {
    const fault = toBackupError(error);
    log.fatal({ step: 'stop', code: fault.code, hint: fault.hint }, fault.message);
    throw fault;
  } finally {
    process.off('SIGHUP', onHangup);
  }
  return { status: 0, json: { stopped: true }, text: '' };
}

function ignoreHangup(): void {}
