import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { createProgram } from '../src/cli/program.ts';
import { type ConfigKey, configKeys } from '../src/config/json-schema.ts';
import { validate } from '../src/config/validate.ts';
import { ERROR_CODES } from '../src/domain/errors.ts';
import type { HealthReport, JobHealth, ProofHealth, SeriesHealth } from '../src/domain/health.ts';
import { STEPS } from '../src/engine/events.ts';
import { Metrics } from '../src/engine/metrics.ts';
import {
  allPages,
  anchorOf,
  codeBlocks,
  codeSpans,
  headings,
  readPage,
  ROOT,
  section,
  tableRows,
} from './support/markdown.ts';

const readme = readPage('README.md');
const pages = allPages();
const packageJson = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
  scripts: Record<string, string>;
};

describe('docs/metrics.md', () => {
  const page = readPage('docs/metrics.md');
  const { registry } = new Metrics();

  test('describes every metric, and no other', () => {
    const documented = headings(page).flatMap((heading) => /^### `(\w+)`$/.exec(heading)?.[1] ?? []);
    const registered = registry.getMetricsAsArray().map(({ name }) => name);
    expect(documented.toSorted()).toEqual(registered.toSorted());
  });

  test('gives the type and the labels of each', async () => {
    const types = new Map((await registry.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)]));
    for (const metric of registry.getMetricsAsArray()) {
      const { name, labelNames } = metric as typeof metric & { labelNames: string[] };
      const opening = section(page, `### \`${name}\``).trim().split('. ')[0] ?? '';
      const [type = '', labels = ''] = opening.split(', labels ');
      expect({ name, type: type.replace('.', '').toLowerCase(), labels: codeSpans(labels) }).toEqual({
        name,
        type: types.get(name),
        labels: labelNames,
      });
    }
  });

  test('names every step of cofre_errors_total', () => {
    const [sentence = ''] = /Errors since[^.]*\./.exec(section(page, '### `cofre_errors_total`')) ?? [];
    expect(codeSpans(sentence)).toEqual([...STEPS]);
  });
});

test('docs/errors.md describes every code, and no other', () => {
  const page = readPage('docs/errors.md');
  const documented = headings(page).filter((heading) => heading.startsWith('### '));
  expect(documented.map((heading) => heading.slice(4)).toSorted()).toEqual(
    Object.keys(ERROR_CODES).toSorted(),
  );
  expect(documented.filter((heading) => section(page, heading).trim() === '')).toEqual([]);
});

describe('the tables of keys in README.md', () => {
  const rows = tableRows(section(readme, '## Configuration').split('### Secrets')[0] ?? '');

  test('have every key that a configuration can have, and no other', () => {
    const documented = new Set(rows.flatMap(pathsOf));
    const known = configKeys().map(({ path }) => path);
    expect([...documented].toSorted()).toEqual(known.toSorted());
  });

  test('give the default of every key', () => {
    const keys = new Map(configKeys().map((key) => [key.path, key]));
    for (const row of rows) {
      // What a job leaves out it takes from the top level, so that the first place is the one with a default.
      const key = keys.get(pathsOf(row)[0] ?? '');
      const [name, where, shown = ''] = row;
      const stated = { name, where, default: isCode(shown) || shown === 'required' ? shown : '' };
      expect(stated).toEqual({ name, where, default: key === undefined ? 'unknown key' : defaultOf(key) });
    }
  });
});

test('the configuration in README.md is valid', async () => {
  const [example = ''] = codeBlocks(section(readme, '## Configuration'), 'json');
  const { faults } = await validate(JSON.parse(example), ROOT);
  expect(faults).toEqual([]);
});

describe('the table of commands in README.md', () => {
  const rows = tableRows(section(readme, '## Commands')).filter(([first]) => first?.startsWith('`cofre '));
  const commands = new Map(commandsOf(createProgram(async () => undefined)));
  const documented = new Map(
    rows.map(([first = '', does = '']) => [/^`cofre ([a-z ]*[a-z])/.exec(first)?.[1] ?? first, does]),
  );

  test('has every command, and no other', () => {
    expect([...documented.keys()].toSorted()).toEqual([...commands.keys()].toSorted());
  });

  test('has every flag where it belongs, and no other', () => {
    const common = ['--config', '--json'];
    for (const flag of common) expect(section(readme, '## Commands')).toContain(`\`${flag}`);
    for (const [name, command] of commands) {
      const flags = command.options
        .flatMap(({ long }) => long ?? [])
        .filter((flag) => !common.includes(flag));
      const found = [...new Set(documented.get(name)?.match(/--[a-z-]+/g))];
      expect({ name, flags: found.toSorted() }).toEqual({ name, flags: flags.toSorted() });
    }
  });
});

// The compiler holds these against the types: a field more or less does not pass the type check.
const HEALTH_FIELDS: Record<keyof HealthReport, true> = {
  status: true,
  version: true,
  uptime: true,
  problems: true,
  warnings: true,
  jobs: true,
  series: true,
};
const JOB_FIELDS: Record<keyof JobHealth, true> = {
  job: true,
  enabled: true,
  last_success: true,
  last_outcome: true,
  last_run_at: true,
  next_run: true,
  overdue: true,
  overdue_since: true,
  running: true,
};
const SERIES_FIELDS: Record<keyof SeriesHealth, true> = {
  source: true,
  archives: true,
  newest: true,
  newest_at: true,
  verified: true,
  verified_at: true,
  missing: true,
  anomaly: true,
  faulty: true,
  proof: true,
};
const PROOF_FIELDS: Record<keyof ProofHealth, true> = {
  filename: true,
  verdict: true,
  at: true,
  proven_at: true,
  proven_age: true,
  recovery_ms: true,
  failing: true,
  failed: true,
};

test('README.md shows an answer of /health with every field, and no other', () => {
  const [answer = ''] = /^\{"status":.*$/m.exec(section(readme, '## Monitoring')) ?? [];
  const report = JSON.parse(answer) as HealthReport;
  expect(Object.keys(report)).toEqual(Object.keys(HEALTH_FIELDS));
  for (const job of report.jobs) expect(Object.keys(job)).toEqual(Object.keys(JOB_FIELDS));
  for (const series of report.series) {
    expect(Object.keys(series)).toEqual(Object.keys(SERIES_FIELDS));
    expect(Object.keys(series.proof ?? {})).toEqual(Object.keys(PROOF_FIELDS));
  }
});

test('README.md names every variable that cofre reads or sets', () => {
  const sources = globSync('src/**/*.ts', { cwd: ROOT }).map((path) =>
    readFileSync(join(ROOT, path), 'utf8'),
  );
  const variables = new Set(sources.join('\n').match(/\bCOFRE_[A-Z]+(?:_[A-Z]+)*\b/g));
  expect(variables.size).toBeGreaterThan(5);
  expect([...variables].filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
});

test('the test command is the one that the continuous integration runs', () => {
  const script = readFileSync(join(ROOT, '.ci/run'), 'utf8');
  const command = 'npm ci && npm test';
  expect(script.split('\n')).toContain(command);
  expect(codeBlocks(readme, 'sh').map((block) => block.trim())).toContain(command);
});

test('CHANGELOG.md begins with the version of the package, but for what is not released yet', () => {
  const [latest] = headings(readPage('CHANGELOG.md')).filter(
    (heading) => heading.startsWith('## ') && !heading.endsWith(' - Unreleased'),
  );
  expect(latest).toMatch(
    new RegExp(`^## \\[${packageJson.version.replaceAll('.', '\\.')}\\] - \\d{4}-\\d\\d-\\d\\d$`),
  );
});

test('the decisions are numbered without a gap, and each has its parts', () => {
  const decisions = pages.filter(({ path }) => path.startsWith('docs/decisions/'));
  for (const [at, { path, text }] of decisions.entries()) {
    const number = String(at + 1).padStart(4, '0');
    expect(path).toContain(`/${number}-`);
    expect(text).toMatch(new RegExp(`^# ${number}: `));
    const parts = headings(text).filter((heading) => heading.startsWith('## '));
    for (const part of ['## Context', '## Options', '## Decision', '## Consequences']) {
      expect(parts.filter((heading) => heading.startsWith(part)).length, `${path} ${part}`).toBeGreaterThan(
        0,
      );
    }
  }
  expect(decisions.length).toBeGreaterThan(0);
});

test('ARCHITECTURE.md names only symbols and files that exist', () => {
  const paths = globSync(['src/**/*.ts', 'tools/*.ts'], { cwd: ROOT });
  const sources = paths.map((path) => readFileSync(join(ROOT, path), 'utf8')).join('\n');
  const named = codeSpans(readPage('ARCHITECTURE.md').replaceAll(/^```[\s\S]*?^```$/gm, ''));
  const symbols = new Set(named.filter((code) => /^\w+(?:\.\w+)?$/.test(code)));
  expect(symbols.size).toBeGreaterThan(80);
  const words = new Set(sources.match(/\w+/g));
  const files = new Set(paths.flatMap((path) => path.split('/')));
  const unknown = [...symbols].filter(
    (symbol) => !files.has(symbol) && symbol.split('.').some((part) => !words.has(part)),
  );
  expect(unknown).toEqual([]);
});

describe.each(pages)('$path', ({ path, text }) => {
  test('has no link to nowhere', () => {
    const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, '');
    const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '');
    expect(targets.filter((target) => !/^https?:/.test(target) && !resolves(path, target))).toEqual([]);
  });

  test('names only scripts that exist', () => {
    const scripts = [...text.matchAll(/\bnpm run (?:-s |--silent )?([\w:-]+)/g)].map(
      ([, script]) => script ?? '',
    );
    expect(scripts.filter((script) => packageJson.scripts[script] === undefined)).toEqual([]);
  });

  test.each([
    ['the host of a package registry', /\bregistry\.[a-z]|\bnpmjs\b/i],
    ['a ticket', /\b(?:issue|pull request|ticket|PR) ?#?\d|(?<![\w&/])#\d/i],
    ["a developer's directory", /\/(?:root|home|Users)\/|\/tmp\/\w/],
    ['work that is left', /\b(?:TODO|FIXME|TBD|XXX)\b/],
  ])('does not name %s', (_, pattern) => {
    expect(text.split('\n').filter((line) => pattern.test(line))).toEqual([]);
  });
});

/** The paths, as `configKeys` has them, of a row of the tables; the one with a default first. */
function pathsOf([key = '', where = '']: readonly string[]): string[] {
  const name = codeSpans(key)[0] ?? key;
  return where.split(', ').map((level) => {
    switch (level) {
      case 'top':
        return name;
      case 'job':
        return `jobs.<job>.${name}`;
      case 'source':
      case 'postgres':
      case 'files':
        return `jobs.<job>.sources[].${name}`;
      default:
        throw new Error(`${name} stands nowhere: ${JSON.stringify(where)}`);
    }
  });
}

function isCode(cell: string): boolean {
  return /^`[^`]*`$/.test(cell);
}

/** What the third column has to say: a value, `required`, or anything that is neither. */
function defaultOf(key: ConfigKey): string {
  if (key.default === undefined) return key.required ? 'required' : '';
  return `\`${typeof key.default === 'string' ? key.default : JSON.stringify(key.default)}\``;
}

/** Every command that does something, by its words: `config schema`. */
function commandsOf(parent: Command, prefix = ''): [string, Command][] {
  return parent.commands.flatMap((command): [string, Command][] => {
    const name = `${prefix}${command.name()}`;
    return command.commands.length === 0 ? [[name, command]] : commandsOf(command, `${name} `);
  });
}

function resolves(from: string, target: string): boolean {
  const [file = '', anchor] = target.split('#');
  const path = file === '' ? from : normalize(join(dirname(from), file));
  if (!existsSync(join(ROOT, path))) return false;
  return anchor === undefined || headings(readPage(path)).map(anchorOf).includes(anchor);
}
