import { BackupError, type ErrorCode, toBackupError } from '../domain/errors.ts';
import { assertSucceeded, runChild } from '../lib/child.ts';

const PROGRAM = 'systemd-notify';
/** systemd-notify gives up waiting for the service manager after 5 s by itself; this is for one that hangs. */
const SEND_TIMEOUT_MS = 10_000;
/** The service manager shows one line; more would only fill `systemctl status`. */
const STATUS_LENGTH_MAX = 500;

/**
 * Tells systemd how the daemon is: the protocol of sd_notify(3), for `Type=notify` and `WatchdogSec=`.
 * Every method does nothing when NOTIFY_SOCKET is not set, and none of them rejects: a service manager that
 * cannot be told is logged once and otherwise left to its own timeouts.
 *
 * Node has no datagram sockets of the unix domain, so the message goes through the program systemd-notify.
 * It is called without `--no-block`: systemd finds the unit of a message by its sender, and an unprivileged
 * sender that has ended by then is not found and its message dropped (systemd-notify(1)). It therefore needs
 * `NotifyAccess=all` in the unit, as the sender is a child of the daemon.
 *
 * Messages leave in the order of the calls, one at a time: READY=1 overtaking RELOADING=1 would leave the
 * unit in `reloading` for ever.
 */
export class SystemdNotifier {
  /**
   * How often `watchdog` is to be called, in milliseconds: half of what systemd allows, as
   * sd_watchdog_enabled(3) recommends. Undefined when nobody watches this process.
   */
  readonly watchdogInterval_ms: number | undefined;
  readonly #childEnv: NodeJS.ProcessEnv | undefined;
  readonly #log: (fault: BackupError) => void;
  readonly #timeout_ms: number;
  #queue: Promise<void> = Promise.resolve();
  #faultLogged = false;
  #watchdogQueued = false;

  /** @param log is called at most once, with the first fault. */
  constructor(env: NodeJS.ProcessEnv, log: (fault: BackupError) => void, timeout_ms = SEND_TIMEOUT_MS) {
    this.#childEnv = childEnvOf(env);
    this.#log = log;
    this.#timeout_ms = timeout_ms;
    this.watchdogInterval_ms = this.#childEnv === undefined ? undefined : watchdogIntervalOf(env);
  }

  /** The daemon has started, or a reload has ended. */
  ready(): Promise<void> {
    return this.#send('READY=1');
  }

  /** One line for people, in `systemctl status`. It passes through argv: it must hold no secret. */
  status(text: string): Promise<void> {
    // A line break would start another assignment of the protocol.
    const line = text.replaceAll(/\p{Cc}+/gu, ' ').trim();
    return this.#send(`STATUS=${line.slice(0, STATUS_LENGTH_MAX)}`);
  }

  /** A reload has begun; `ready` ends it. */
  reloading(): Promise<void> {
    // systemd compares it with the time of its own request. Node's hrtime is CLOCK_MONOTONIC on Linux.
    const monotonic_us = process.hrtime.bigint() / 1_000n;
    return this.#send('RELOADING=1', `MONOTONIC_USEC=${monotonic_us}`);
  }

  /** A sign of life, due every `watchdogInterval_ms`. */
  watchdog(): Promise<void> {
    // Signs of life behind a slow one would only pile up and say the same.
    if (this.#watchdogQueued) return this.#queue;
    this.#watchdogQueued = true;
    return this.#send('WATCHDOG=1').finally(() => {
      this.#watchdogQueued = false;
    });
  }

  /** The daemon is shutting down. */
  stopping(): Promise<void> {
    return this.#send('STOPPING=1');
  }

  #send(...assignments: string[]): Promise<void> {
    const env = this.#childEnv;
    if (env === undefined) return Promise.resolve();
    this.#queue = this.#queue.then(async () => {
      const fault = await send(env, assignments, this.#timeout_ms);
      if (fault === undefined || this.#faultLogged) return;
      this.#faultLogged = true;
      this.#log(fault);
    });
    return this.#queue;
  }
}

/** Sends one message; what went wrong, or undefined. */
async function send(
  env: NodeJS.ProcessEnv,
  assignments: string[],
  timeout_ms: number,
): Promise<BackupError | undefined> {
  const signal = AbortSignal.timeout(timeout_ms);
  try {
    const result = await runChild({ command: PROGRAM, args: assignments, env, signal });
    assertSucceeded(PROGRAM, result, result.stderr, signal);
    return undefined;
  } catch (error) {
    if (signal.aborted) return unnotified('TIMEOUT', `no answer within ${timeout_ms} ms`, error);
    const { code, message } = toBackupError(error, PROGRAM);
    return unnotified(code, message, error);
  }
}

function unnotified(code: ErrorCode, reason: string, cause: unknown): BackupError {
  return new BackupError(code, `systemd could not be notified: ${reason}`, {
    path: PROGRAM,
    hint: `Install ${PROGRAM} (Debian package: systemd) and set NotifyAccess=all in the unit; or run with Type=exec and without WatchdogSec.`,
    cause,
  });
}

/** The child gets what it needs and no secret of ours. */
function childEnvOf(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv | undefined {
  const { NOTIFY_SOCKET, PATH } = env;
  if (NOTIFY_SOCKET === undefined || NOTIFY_SOCKET === '') return undefined;
  return { NOTIFY_SOCKET, ...(PATH === undefined ? {} : { PATH }) };
}

function watchdogIntervalOf(env: NodeJS.ProcessEnv): number | undefined {
  const { WATCHDOG_PID, WATCHDOG_USEC } = env;
  // The variables are inherited: those of a parent that is watched itself are not for us.
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(process.pid)) return undefined;
  if (WATCHDOG_USEC === undefined || !/^[1-9]\d*$/.test(WATCHDOG_USEC)) return undefined;
  return Math.max(1, Math.floor(Number(WATCHDOG_USEC) / 2_000));
}
