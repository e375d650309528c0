import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { LOCK_SETTLE_MS, type Location } from '../catalogue/location.ts';
import { BackupError, toBackupError } from '../domain/errors.ts';
import type { Service } from '../domain/ports.ts';
import type { EngineContext } from '../engine/context.ts';
import { recover } from '../engine/recover.ts';
import { aborted, sleep } from '../lib/abort.ts';
import type { KernelLock } from '../lib/kernel-lock.ts';
import type { Logger } from '../lib/log.ts';
import { openOwnFile } from '../lib/owned-file.ts';
import type { Owner } from '../lib/ownership.ts';
import type { SystemdNotifier } from './systemd-notify.ts';

/** A shutdown that takes longer than this is stuck: the process ends all the same. */
export const SHUTDOWN_DEADLINE_MS = 60_000;

export interface DaemonOptions {
  context: EngineContext;
  log: Logger;
  systemd: SystemdNotifier;
  /** Serves from the first moment, so that liveness is seen while the location is put in order. */
  http: Service;
  /** Started once the location is in order. */
  services: readonly Service[];
  /** Called between start and stop with whether `/readyz` may say so. */
  onReady: (ready: boolean) => void;
  /** One line for `systemctl status`. */
  statusLine: () => Promise<string>;
}

/**
 * The life of the daemon:
 *
 *   lock → http → recover → services, READY=1 → (signal) STOPPING=1 → services drain → http stops → unlock
 *
 * Returns when the signal has aborted and everything has stopped; throws when it could not start, when the
 * lock of the location is lost, or when a service ends by itself, which none should.
 */
export async function runDaemon(options: DaemonOptions, signal: AbortSignal): Promise<void> {
  const { context, log, systemd } = options;
  await using lock = await lockLocation(context.location, signal);
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, lock.lost, failed.signal]);
  const httpStop = new AbortController();
  const http = watched(options.http, httpStop.signal, failed);
  try {
    await recover(context, stop).catch((error: unknown) => {
      // A stop that comes this early is a stop like any other.
      if (!stop.aborted) throw error;
    });
    const services = options.services.map((service) => watched(service, stop, failed));
    if (!stop.aborted) {
      options.onReady(true);
      await systemd.ready();
      log.info({ step: 'start' }, 'cofre is ready');
    }
    const heartbeat = beat(systemd, options.statusLine, stop);
    await aborted(stop);
    options.onReady(false);
    log.info({ step: 'stop' }, 'cofre is stopping');
    await systemd.stopping();
    await Promise.all([...services, heartbeat]);
  } finally {
    httpStop.abort();
    await http;
  }
  if (!signal.aborted) throw toBackupError(stop.reason);
  log.info({ step: 'stop' }, 'cofre has stopped');
}

/** Runs a service; if it ends before it was told to, the daemon stops with its error. Never rejects. */
async function watched(service: Service, signal: AbortSignal, failed: AbortController): Promise<void> {
  try {
    await service.run(signal);
    if (!signal.aborted) throw new BackupError('INTERNAL', `the service ${service.id} ended by itself`);
  } catch (error) {
    failed.abort(toBackupError(error, service.id));
  }
}

/** Signs of life and the status line for systemd. */
async function beat(
  systemd: SystemdNotifier,
  statusLine: () => Promise<string>,
  signal: AbortSignal,
): Promise<void> {
  const interval_ms = systemd.watchdogInterval_ms ?? 30_000;
  let last = '';
  while (!signal.aborted) {
    await systemd.watchdog();
    const line = await statusLine().catch(() => last);
    if (line !== last) await systemd.status(line);
    last = line;
    await sleep(interval_ms, signal).catch(() => undefined);
  }
}

/** The lock that makes this daemon the only one of the location; the holder's name stands in the lock file. */
async function lockLocation(location: Location, signal: AbortSignal): Promise<KernelLock> {
  const path = location.lockPath('daemon');
  try {
    const lock = await location.lock('daemon', signal, LOCK_SETTLE_MS);
    // Only a note for people: a full disk, which a prune may clear, must not keep a daemon from its start.
    await writeNote(path, location.owner).catch(() => undefined);
    return lock;
  } catch (error) {
    if (!(error instanceof BackupError) || error.code !== 'LOCK_BUSY') throw error;
    const holder = (await readFile(path, 'utf8').catch(() => '')).trim();
    throw new BackupError(
      'LOCK_BUSY',
      `another cofre daemon uses the location ${location.root}${holder === '' ? '' : `: ${holder}`}`,
      {
        path: location.root,
        hint: 'Stop that daemon, or give this one a location of its own.',
        cause: error,
      },
    );
  }
}

async function writeNote(path: string, owner: Owner): Promise<void> {
  const file = await openOwnFile(path, owner);
  try {
    await file.truncate();
    await file.writeFile(`process ${process.pid} on ${hostname()}, since ${new Date().toISOString()}\n`);
  } finally {
    await file.close();
  }
}
