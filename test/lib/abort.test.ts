import { expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import { sleep, withDeadline } from '../../src/lib/abort.ts';
import { NO_ABORT } from '../support/fakes.ts';

test('a deadline that passes aborts with TIMEOUT, naming the work', async () => {
  using deadline = withDeadline(NO_ABORT, 5, 'run of job app');
  await expect(sleep(20_000, deadline.signal)).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: 'run of job app took longer than its timeout of 5 ms',
  });
});

test('a deadline passes an abort on with its own reason', async () => {
  const controller = new AbortController();
  const reason = new BackupError('CANCELLED', 'stopped');
  using deadline = withDeadline(controller.signal, 60_000, 'x');
  const sleeping = sleep(20_000, deadline.signal);
  controller.abort(reason);
  await expect(sleeping).rejects.toBe(reason);
});

test('a deadline that was let go of never aborts', async () => {
  const deadline = withDeadline(NO_ABORT, 5, 'x');
  deadline[Symbol.dispose]();
  await sleep(30, NO_ABORT);
  expect(deadline.signal.aborted).toBe(false);
});

test('a sleep with a signal aborted already does not begin', async () => {
  const reason = new BackupError('CANCELLED', 'stopped');
  await expect(sleep(20_000, AbortSignal.abort(reason))).rejects.toBe(reason);
});
