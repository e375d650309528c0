import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import picomatch from 'picomatch';
import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

interface Instruction {
  name: string;
  args: string;
}

interface Stage {
  name: string;
  base: string;
  instructions: Instruction[];
}

const stages = parse(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'));

/** The stages in order. An instruction is one line once comments are gone and continued lines joined. */
function parse(text: string): Stage[] {
  const found: Stage[] = [];
  const lines = text.replaceAll(/^\s*#.*\n/gm, '').replaceAll(/\\\n/g, '');
  for (const line of lines.split('\n').filter((line) => line.trim() !== '')) {
    const [, name = '', args = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    expect(name, `not an instruction: ${line}`).not.toBe('');
    const from = /^(\S+) AS (\S+)$/.exec(args);
    if (name === 'FROM') found.push({ base: from?.[1] ?? args, name: from?.[2] ?? '', instructions: [] });
    else found.at(-1)?.instructions.push({ name, args });
  }
  return found;
}

/** All instructions that make up an image, those of its base stages first. */
function image(target: string): Instruction[] {
  const stage = stages.find(({ name }) => name === target);
  return stage === undefined ? [] : [...image(stage.base), ...stage.instructions];
}

/** The arguments of the last instruction of that name, which is the one that counts. */
function last(target: string, name: string): string {
  return image(target).findLast((instruction) => instruction.name === name)?.args ?? '';
}

const all = stages.flatMap((stage) => stage.instructions);

describe('the Dockerfile', () => {
  test('has two targets on one base, and builds the daemon when none is named', () => {
    expect(stages.filter(({ base }) => base === 'base').map(({ name }) => name)).toEqual([
      'drill',
      'runtime',
    ]);
    expect(stages.at(-1)?.name).toBe('runtime');
  });

  test.each(['runtime', 'drill'])('%s runs as a user that is a number and not root', (target) => {
    expect(last(target, 'USER')).toMatch(/^[1-9]\d{3,}:[1-9]\d{3,}$/);
  });

  test('installs client programs of several majors in both, server programs in the drill target', () => {
    expect(last('runtime', 'ARG')).not.toBe('');
    const majors = image('runtime').find(({ args }) => args.startsWith('PG_MAJORS='))?.args;
    expect(majors?.match(/\d+/g)).toEqual(['14', '15', '16', '17', '18']);
    expect(image('drill').findLast(({ args }) => args.startsWith('PG_MAJORS='))?.args).toBe(majors);
    const commands = (target: string) =>
      image(target)
        .filter(({ name }) => name === 'RUN')
        .map(({ args }) => args)
        .join('\n');
    expect(commands('runtime')).toContain("printf 'postgresql-client-%s '");
    expect(commands('runtime')).not.toContain("printf 'postgresql-%s '");
    expect(commands('drill')).toContain("printf 'postgresql-%s '");
  });

  test('names no registry: base images are plain names, and no command names a host', () => {
    for (const { base } of stages) expect(base).toMatch(/^[a-z]+(?::[\w.-]+)?$/);
    for (const { name, args } of all) {
      expect(`${name} ${args}`).not.toMatch(/[\w-]\.(?:com|org|io|net|dev)\b|https?:\/\/(?!127\.0\.0\.1)/);
    }
  });

  test('copies only what exists and what .dockerignore lets through', async () => {
    const [everything, ...exceptions] = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(everything).toBe('*');
    const allowed = exceptions.map((line) => line.replace(/^!/, ''));
    const sources = all
      .filter(({ name, args }) => name === 'COPY' && !args.startsWith('--from='))
      .flatMap(({ args }) => args.split(/\s+/).slice(0, -1));
    expect(sources.toSorted()).toEqual(allowed.toSorted());
    for (const source of sources) await access(join(ROOT, source));
    expect(['config.json', '.env', 'backups'].filter((secret) => picomatch.isMatch(secret, allowed))).toEqual(
      [],
    );
    const copiedFrom = all
      .map(({ args }) => /^--from=(\S+)/.exec(args)?.[1])
      .filter((from) => from !== undefined);
    expect(new Set(copiedFrom)).toEqual(new Set(['build']));
  });

  test('every RUN is valid shell', () => {
    const scripts = all.filter(({ name }) => name === 'RUN').map(({ args }) => args);
    expect(scripts.length).toBeGreaterThan(0);
    for (const script of scripts) expect(() => execFileSync('sh', ['-n', '-c', script])).not.toThrow();
  });

  test('stops by SIGTERM, with a process 1 that collects orphans, and listens on all addresses', () => {
    expect(last('runtime', 'STOPSIGNAL')).toBe('SIGTERM');
    expect(JSON.parse(last('runtime', 'ENTRYPOINT'))).toEqual(['tini', '--', 'cofre']);
    expect(JSON.parse(last('runtime', 'CMD'))).toEqual(['daemon']);
    expect(last('runtime', 'ENV')).toContain('COFRE_HTTP_HOST=0.0.0.0');
    expect(last('runtime', 'ENV')).toContain(`COFRE_HTTP_PORT=${last('runtime', 'EXPOSE')}`);
  });

  test('trap 13: the volume belongs to the user of the container', () => {
    expect(JSON.parse(last('runtime', 'VOLUME'))).toEqual(['/backups']);
    const [uid, gid] = last('runtime', 'USER').split(':');
    const made = image('runtime').findIndex(({ args }) =>
      args.includes(`install -d -o ${uid} -g ${gid} -m 0700 /backups`),
    );
    expect(made).toBeGreaterThanOrEqual(0);
    // What is done to a volume's directory after VOLUME is lost.
    expect(image('runtime').findIndex(({ name }) => name === 'VOLUME')).toBeGreaterThan(made);
  });
});

describe('HEALTHCHECK', () => {
  const [, command = '[]'] = /CMD (\[.*\])$/.exec(last('runtime', 'HEALTHCHECK')) ?? [];
  const [program = '', ...args] = JSON.parse(command) as string[];

  async function check(port: number): Promise<number | null> {
    expect(program).toBe('node');
    const env = { PATH: process.env['PATH'], COFRE_HTTP_PORT: String(port) };
    const child: ChildProcess = spawn(process.execPath, args, { env, stdio: 'inherit' });
    const [code] = (await once(child, 'close')) as [number | null];
    return code;
  }

  test('is healthy when /livez answers 200, whatever /health says, and not otherwise', async () => {
    const asked: string[] = [];
    let live = 200;
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.writeHead(request.url === '/livez' ? live : 503).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    expect(await check(port)).toBe(0);
    live = 503;
    expect(await check(port)).toBe(1);
    server.close();
    await once(server, 'close');
    expect(await check(port)).toBe(1);
    expect(asked).toEqual(['/livez', '/livez']);
  });
});
