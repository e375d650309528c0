import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listDisk } from '../support/file-tree.ts';
import { type RestoreAnswer, RestoreBed, type RestoreRefusal } from '../support/restore-bed.ts';
import { openTree, RestorePlace } from '../support/restore-place.ts';
import { smallDisk } from '../support/small-disk.ts';
import { corruptByte } from '../support/workspace.ts';
import { archiveOf, type Member } from '../targets/files/archive.ts';

const STAGING = /^\.cofre-restore-/;

let bed: RestoreBed;
let at: RestorePlace;
let place: string;
let target: string;

beforeAll(async () => {
  bed = new RestoreBed();
  const small = join(bed.dir, 'small');
  mkdirSync(small);
  const large = join(bed.dir, 'large');
  mkdirSync(large);
  for (let count = 0; count < 40; count += 1) writeFileSync(join(large, `f${count}`), randomBytes(200_000));
  await bed.backUp([
    { type: 'files', name: 'small', directories: [small] },
    { type: 'files', name: 'large', directories: [large] },
  ]);
});

beforeEach(() => {
  at = new RestorePlace();
  ({ path: place, target } = at);
});

afterAll(() => {
  openTree(bed.dir);
  bed[Symbol.dispose]();
});

/** A restore that must fail, and change nothing at the place. */
async function refused(args: string[], from = bed): Promise<RestoreRefusal> {
  return await at.refused(args, from);
}

function namesIn(path: string): string[] {
  return readdirSync(path).sort();
}

describe('a hostile archive that verifies', () => {
  const file = (path: string, rest: Partial<Member> = {}): Member => ({ path, data: 'evil\n', ...rest });
  const top: Member = { path: 'small/', flag: '5' };

  test.each<[string, Member[], string]>([
    ['a path with ..', [top, file('small/../../escaped')], '..'],
    ['.. at its start', [top, file('../escaped')], '..'],
    ['an absolute path', [top, file('PLACE/escaped')], 'absolute'],
    [
      'a file through a link',
      [top, { path: 'small/l', flag: '2', link: 'PLACE' }, file('small/l/escaped')],
      'small/l',
    ],
    [
      'a file through a link to ..',
      [top, { path: 'small/l', flag: '2', link: '..' }, file('small/l/../escaped')],
      '..',
    ],
    [
      'a file in the place of a link',
      [top, { path: 'small/l', flag: '2', link: 'PLACE/victim' }, file('small/l')],
      'small/l',
    ],
    [
      'a hard link to a file outside',
      [top, { path: 'small/h', flag: '1', link: 'PLACE/victim' }, file('small/h')],
      'hard link',
    ],
    ['a hard link with ..', [top, { path: 'small/h', flag: '1', link: '../victim' }], '..'],
    [
      'a chain of links',
      [
        top,
        { path: 'small/a', flag: '2', link: 'b/..' },
        { path: 'small/b', flag: '2', link: '..' },
        file('small/a/escaped'),
      ],
      'small/',
    ],
    ['a device', [top, { path: 'small/null', flag: '3' }], 'device'],
  ])('with %s is refused, and nothing outside is touched', async (_what, members, named) => {
    writeFileSync(join(place, 'victim'), 'mine\n');
    using copy = bed.copy();
    const placed = members.map((member) => ({
      ...member,
      path: String(member.path).replace('PLACE', place),
      ...(member.link === undefined ? {} : { link: member.link.replace('PLACE', place) }),
    }));
    const filename = await copy.forge('small', () => archiveOf(...placed));
    const before = at.snapshot();
    expect(await copy.refusal([filename, '--to', target])).toMatchObject({
      code: 'ARCHIVE_UNSAFE',
      message: expect.stringContaining(named),
      hint: expect.stringMatching(/^Nothing was touched\./),
    });
    expect(at.snapshot()).toEqual(before);
    // A link is made where it is asked for, and still nothing goes through it.
    const asked = await copy.restore([filename, '--to', target, '--outside-links']);
    expect(asked.answer.error?.code).toBe('ARCHIVE_UNSAFE');
    expect(at.snapshot()).toEqual(before);
  });
});

describe('an archive', () => {
  test('with a flipped bit, cut off, or gone is found out before the target is touched', async () => {
    using copy = bed.copy();
    const manifest = copy.of('large');
    const path = copy.path(manifest);
    const whole = readFileSync(path);
    const args = [manifest.filename, '--to', target];
    corruptByte(path);
    expect((await refused(args, copy)).code).toBe('ARCHIVE_CORRUPT');
    writeFileSync(path, whole.subarray(0, -1));
    expect((await refused(args, copy)).code).toBe('ARCHIVE_CORRUPT');
    rmSync(path);
    const gone = await refused(args, copy);
    expect(gone).toMatchObject({ message: expect.stringContaining('is missing') });
    expect(gone.hint).toMatch(/^Nothing was touched\./);
  });
});

describe('a target that fills up', () => {
  test('is refused when it is known before, and is as it was when it is not', async () => {
    using disk = smallDisk(join(place, 'disk'), 4_000_000, true);
    if (disk.kind !== 'tmpfs') return;
    const error = await bed.restore([bed.nameOf('large'), '--to', join(disk.path, 'target')]);
    expect(error.answer.error).toMatchObject({
      code: 'SPACE_LOW',
      message: expect.stringMatching(/are free at .*, the files take 7\.\d+ MB$/),
    });
    // Many small files take more than their bytes.
    using small = await new RestoreBed().backUp([manySmallFiles()]);
    mkdirSync(join(disk.path, 'target'));
    writeFileSync(join(disk.path, 'target/mine'), 'mine');
    const before = listDisk(disk.path, 'disk');
    const { status, answer } = await small.restore([
      small.nameOf('many'),
      '--to',
      join(disk.path, 'target'),
      '--overwrite',
    ]);
    expect(status).toBe(1);
    expect(answer.error).toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringMatching(/no space left on the device; .*target is as it was before$/),
      hint: 'Free space on the file system of the target, or restore to a larger one.',
    });
    expect(listDisk(disk.path, 'disk')).toEqual(before);
  });

  function manySmallFiles(): Record<string, unknown> {
    const directory = join(place, 'many');
    mkdirSync(directory);
    for (let count = 0; count < 3_000; count += 1) writeFileSync(join(directory, `f${count}`), String(count));
    return { type: 'files', name: 'many', directories: [directory] };
  }
});

describe('a restore that ends in the middle', () => {
  /** Has the process send itself a signal as it makes one of the files. */
  async function inTheMiddle(args: string[], signal: NodeJS.Signals) {
    const preload = `
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      const { openSync } = fs;
      fs.openSync = (path, ...rest) => {
        if (String(path).endsWith('/tree/large/f20')) process.kill(process.pid, '${signal}');
        return openSync(path, ...rest);
      };
      syncBuiltinESMExports();`;
    const nodeArgs = ['--import', `data:text/javascript,${encodeURIComponent(preload)}`];
    return await bed.run(['restore', ...args], { nodeArgs });
  }

  test('by SIGKILL leaves a target that is there without a file of it, and tells so later', async () => {
    mkdirSync(target);
    const args = [bed.nameOf('large'), '--to', target];
    expect((await inTheMiddle(args, 'SIGKILL')).signal).toBe('SIGKILL');
    expect(namesIn(target)).toEqual([expect.stringMatching(STAGING)]);
    const [staging = ''] = namesIn(target);
    const { message } = await refused(args);
    expect(message).toContain(`${staging} (left by a restore that was interrupted; remove it`);
    rmSync(join(target, staging), { recursive: true });
    expect((await bed.restore(args)).answer).toMatchObject({ success: true });
    expect(namesIn(join(target, 'large'))).toHaveLength(40);
  });

  test('by SIGKILL does not make a target that is not there, and tells so later', async () => {
    const args = [bed.nameOf('large'), '--to', target];
    expect((await inTheMiddle(args, 'SIGKILL')).signal).toBe('SIGKILL');
    expect(namesIn(place)).toEqual([expect.stringMatching(STAGING)]);
    const [staging = ''] = namesIn(place);
    const { answer } = await bed.restore(args);
    expect(answer).toMatchObject({ success: true });
    expect(answer.steps).toContainEqual(
      expect.stringMatching(`^found ${join(place, staging)}, left by a restore`),
    );
    expect(namesIn(join(target, 'large'))).toHaveLength(40);
  });

  test('by Ctrl-C leaves nothing, and says so', async () => {
    const before = at.snapshot();
    const finished = await inTheMiddle([bed.nameOf('large'), '--to', target], 'SIGINT');
    expect(finished.status).toBe(1);
    expect(finished.json<RestoreAnswer>().error).toMatchObject({
      code: 'CANCELLED',
      message: expect.stringMatching(/cancelled by a signal; .*target was not made$/),
    });
    expect(at.snapshot()).toEqual(before);
  });
});
