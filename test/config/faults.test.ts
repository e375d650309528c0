import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/config/faults.ts';
import { faultLines, loadFrom, validConfig } from './config-dir.ts';

const CRON = 'a cron expression of 5 fields, or of 6 with seconds first, such as "0 2 * * *"';
const NAME =
  'lower-case letters, digits, "_" and "-", starting with a letter or digit, at most 63 characters';
const SECRET =
  'exactly one of {"env": NAME}, {"file": PATH} or {"credential": NAME}; or a URI beginning with postgres://, postgresql:// or postgresql+driver://';
const DURATION = 'a whole number and one of ms, s, m, h, d, such as "90s" or "6h"';
const JOB_KEYS =
  'enabled, schedule, timezone, sources, compression, timeout, retries, jitter, catchUp, grace, verify, hooks, retention, anomaly, drill';
const TOP_KEYS =
  '$schema, enabled, timezone, location, jobs, compression, timeout, retries, jitter, catchUp, grace, verify, concurrency, requireMount, retention, scrub, anomaly, scratch, http, notify';

/** The valid configuration with more keys at the top, in the job, or in the first or second source. */
function configWith(more: { top?: object; job?: object; postgres?: object; files?: object }) {
  const config = validConfig();
  const { app } = config.jobs;
  const [postgres, files] = app.sources;
  const sources = [
    { ...postgres, ...more.postgres },
    { ...files, ...more.files },
  ];
  return { ...config, jobs: { app: { ...app, sources, ...more.job } }, ...more.top };
}

const BAD_INPUT: [string, Parameters<typeof configWith>[0], string[]][] = [
  [
    'a misspelt key at the top',
    { top: { timezon: 'UTC' } },
    [`timezon: unknown key, did you mean \`timezone\`? (received "timezon"; allowed: ${TOP_KEYS})`],
  ],
  [
    'a misspelt key in a job',
    { job: { retires: 3 } },
    [`jobs.app.retires: unknown key, did you mean \`retries\`? (received "retires"; allowed: ${JOB_KEYS})`],
  ],
  [
    'an unknown key in a source',
    { files: { colour: 'red' } },
    [
      'jobs.app.sources[1].colour: unknown key (received "colour"; allowed: type, name, directories, exclude)',
    ],
  ],
  [
    'a key in the wrong place',
    { job: { concurrency: 2, retention: { schedule: '0 3 * * *' } } },
    [
      'jobs.app.retention.schedule: this key may not stand here, only at `jobs.<job>.schedule` or `jobs.<job>.drill.schedule` or `retention.schedule` or `scrub.schedule` (received "schedule"; allowed: days, keepLast, hourly, daily, weekly, monthly, yearly)',
      `jobs.app.concurrency: this key may not stand here, only at the top level (received "concurrency"; allowed: ${JOB_KEYS})`,
    ],
  ],
  [
    'a drill that is no schedule',
    { job: { drill: 'weekly' } },
    ['jobs.app.drill: not a valid value (received "weekly"; allowed: "each", or an object with `schedule`)'],
  ],
  [
    'a drill with a schedule that is none, and a scratch server that is none',
    {
      job: { drill: { schedule: '0 25 * * *' } },
      top: { scratch: { url: 'mysql://u:secret@h/d', directory: '' } },
    },
    [
      `jobs.app.drill.schedule: Invalid value for hour: 25 (received "0 25 * * *"; allowed: ${CRON})`,
      'scratch.directory: not a valid value (received ""; allowed: the path of a directory)',
      `scratch.url: not a valid value (received <hidden>; allowed: ${SECRET})`,
    ],
  ],
  [
    'a key of the other type',
    { postgres: { directories: ['/srv'] }, top: { compression: { type: 'none', level: 3 } } },
    [
      'jobs.app.sources[0].directories: this key does not go with this `type` (received "directories"; allowed: type, name, url, format, dumpJobs, include, exclude, lockWaitTimeout, binDir, exclusive, globals)',
      'compression.level: this key does not go with this `type` (received "level"; allowed: type)',
    ],
  ],
  [
    'wrong types',
    { top: { enabled: 'yes', http: 9480 }, job: { retries: '2' } },
    [
      'enabled: wrong type (received "yes"; allowed: true or false)',
      'jobs.app.retries: wrong type (received "2"; allowed: a whole number from 0 to 100)',
      'http: wrong type (received 9480; allowed: an object with `host` and `port`)',
    ],
  ],
  [
    'a fraction where a whole number belongs',
    { job: { retries: 1.5 } },
    ['jobs.app.retries: not a whole number (received 1.5; allowed: a whole number from 0 to 100)'],
  ],
  [
    'a key that must be there',
    { top: { location: undefined }, job: { schedule: undefined } },
    [
      'location: missing (received nothing; allowed: the path of a directory)',
      `jobs.app.schedule: missing (received nothing; allowed: ${CRON})`,
    ],
  ],
  [
    'a bad cron expression',
    { job: { schedule: '61 * * * *' } },
    [`jobs.app.schedule: Invalid value for minute: 61 (received "61 * * * *"; allowed: ${CRON})`],
  ],
  [
    'an impossible date',
    { top: { retention: { schedule: '0 0 31 2 *' } } },
    [
      `retention.schedule: it never runs: no date matches its day and month (received "0 0 31 2 *"; allowed: ${CRON})`,
    ],
  ],
  [
    'an unknown time zone',
    { job: { timezone: 'Europe/Lisbom' } },
    [
      'jobs.app.timezone: unknown time zone (received "Europe/Lisbom"; allowed: an IANA time zone, such as "Europe/Lisbon" or "UTC")',
    ],
  ],
  [
    'bad source names',
    { postgres: { name: 'My DB' }, files: { name: 'app_globals' } },
    [
      `jobs.app.sources[0].name: not a valid value (received "My DB"; allowed: ${NAME}, not ending in "_globals")`,
      `jobs.app.sources[1].name: not a valid value (received "app_globals"; allowed: ${NAME}, not ending in "_globals")`,
    ],
  ],
  [
    'a source name used twice',
    { files: { name: 'app' } },
    [
      'jobs.app.sources[1].name: already the name of jobs.app.sources[0] (received "app"; allowed: a name that no other source of any job has)',
    ],
  ],
  [
    'an unknown type of source',
    { files: { type: 'mysql' } },
    ['jobs.app.sources[1].type: not a valid value (received "mysql"; allowed: "postgres", "files")'],
  ],
  [
    'no source',
    { job: { sources: [] } },
    ['jobs.app.sources: empty (received an empty array; allowed: an array of at least one source)'],
  ],
  [
    'member names used twice or impossible',
    {
      files: {
        directories: ['/a/x', '/b/x/', '/', { path: '/c', as: 'x' }, { path: '/d', as: 'a/b' }, '..'],
      },
    },
    [
      'jobs.app.sources[1].directories[4].as: not a valid value (received "a/b"; allowed: a name without "/", not "." or "..")',
      'jobs.app.sources[1].directories[1]: would stand under the same name in the archive as jobs.app.sources[1].directories[0] (received "/b/x/"; allowed: {"path": …, "as": …} with a name of its own)',
      'jobs.app.sources[1].directories[2]: this directory has no name to stand under in the archive (received "/"; allowed: {"path": …, "as": …} with a name of its own)',
      'jobs.app.sources[1].directories[3]: would stand under the same name in the archive as jobs.app.sources[1].directories[0] (received "as": "x"; allowed: {"path": …, "as": …} with a name of its own)',
    ],
  ],
  [
    'levels out of range',
    { top: { compression: { type: 'zstd', level: 20 } }, job: { compression: { type: 'gzip', level: 0 } } },
    [
      'jobs.app.compression.level: out of range (received 0; allowed: a whole number from 1 to 9)',
      'compression.level: out of range (received 20; allowed: a whole number from 1 to 19)',
    ],
  ],
  [
    'an unknown compression',
    { top: { compression: { type: 'lz4' } }, job: { compression: 'brotli' } },
    [
      'jobs.app.compression: not a valid value (received "brotli"; allowed: "none", "gzip", "zstd", or {"type": …, "level": …})',
      'compression.type: not a valid value (received "lz4"; allowed: "none", "gzip", "zstd")',
    ],
  ],
  [
    'an unknown level of verification',
    { top: { verify: 'full' } },
    ['verify: not a valid value (received "full"; allowed: "checksum", "contents")'],
  ],
  [
    'durations that are none, too long for a timer, or zero where that means at once',
    { top: { timeout: '0s', grace: '25d', jitter: '5 min' } },
    [
      `timeout: not a valid value (received "0s"; allowed: ${DURATION}; more than 0s, at most 24d)`,
      `jitter: not a valid value (received "5 min"; allowed: ${DURATION}; at most 24d)`,
      `grace: not a valid value (received "25d"; allowed: ${DURATION}; at most 24d)`,
    ],
  ],
  [
    'a share, a port and counts out of range',
    {
      top: {
        scrub: { schedule: '0 5 * * 0', share: 0 },
        http: { port: 65_536 },
        retention: { days: -1 },
        concurrency: 0,
      },
    },
    [
      'concurrency: out of range (received 0; allowed: a whole number from 1 to 64)',
      'retention.days: out of range (received -1; allowed: a whole number from 0 to 36500)',
      'scrub.share: out of range (received 0; allowed: a number above 0 and up to 1)',
      'http.port: out of range (received 65536; allowed: a whole number from 0 to 65535)',
    ],
  ],
  [
    'a hook that is no argv',
    { job: { hooks: { before: 'curl -H token=x', after: [], failure: ['', 'x'] } } },
    [
      'jobs.app.hooks.before: not a valid value (received <hidden>; allowed: an array of a program and its arguments)',
      'jobs.app.hooks.after: empty (received an empty array; allowed: an array of a program and its arguments)',
      'jobs.app.hooks.failure: not a valid value (received an array; allowed: an array of a program and its arguments)',
    ],
  ],
  [
    'an empty include, which could be read as nothing at all',
    { postgres: { include: { tables: [] } } },
    [
      'jobs.app.sources[0].include.tables: empty (received an empty array; allowed: an array of at least one pattern)',
    ],
  ],
  [
    'a secret that is no reference',
    { postgres: { url: { env: 'A', file: 'b' } } },
    [`jobs.app.sources[0].url: not a valid value (received an object; allowed: ${SECRET})`],
  ],
];

describe('Bad input gets one line with path, value and what is allowed:', () => {
  test.each(BAD_INPUT)('%s', async (_, more, lines) => {
    expect(await faultLines(configWith(more))).toEqual(lines);
  });
});

test('a job with a bad name has its other faults reported too', async () => {
  const config = { location: 'b', jobs: { 'My job': { schedule: '0 2 * * *', sources: 1 } } };
  expect(await faultLines(config)).toEqual([
    `jobs["My job"]: not a valid name (received "My job"; allowed: ${NAME})`,
    'jobs["My job"].sources: wrong type (received 1; allowed: an array of at least one source)',
  ]);
});

test('a source name is unique across jobs', async () => {
  const config = configWith({ top: {} });
  const { app } = config.jobs;
  expect(
    await faultLines({ ...config, jobs: { app, other: { ...app, sources: app.sources.slice(0, 1) } } }),
  ).toEqual([
    'jobs.other.sources[0].name: already the name of jobs.app.sources[0] (received "app"; allowed: a name that no other source of any job has)',
  ]);
});

test.each([
  [null, 'null'],
  [[], 'an empty array'],
  [7, '7'],
])('a document that is no object: %j', async (document, received) => {
  expect(await faultLines(JSON.stringify(document))).toEqual([
    `(top level): wrong type (received ${received}; allowed: an object)`,
  ]);
});

test('a value that fails two checks gets one line', async () => {
  expect(await faultLines(configWith({ postgres: { name: 'My_globals' }, job: { schedule: '' } }))).toEqual([
    `jobs.app.schedule: not a valid value (received ""; allowed: ${CRON})`,
    `jobs.app.sources[0].name: not a valid value (received "My_globals"; allowed: ${NAME}, not ending in "_globals")`,
  ]);
});

test('control characters of a value reach no terminal and break no line', async () => {
  const [line] = await faultLines(configWith({ job: { schedule: '\u001b[2J * * * *' } }));
  expect(line).toContain('received "\\u001b[2J * * * *"');
  expect(line).not.toMatch(/\p{Cc}/u);
});

test('faults of every kind are reported at once', async () => {
  const config = configWith({
    top: { locaton: 'x', timezone: 'Mars/Olympus' },
    job: { schedule: '99 * * * *' },
    postgres: { url: { env: 'NOT_SET' } },
    files: { name: 'app', directories: ['/a/x', '/b/x'] },
  });
  const lines = await faultLines(config, { COFRE_HTTP_PORT: 'http' });
  expect(lines.map((line) => line.split(': ', 1)[0])).toEqual([
    'timezone',
    'jobs.app.schedule',
    'locaton',
    'jobs.app.sources[1].name',
    'jobs.app.sources[1].directories[1]',
    'jobs.app.sources[0].url',
    'COFRE_HTTP_PORT',
  ]);
});

test('the error carries each fault and the file', async () => {
  const error = await loadFrom({ location: 'b', jobs: {}, verify: 'x\ny' }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConfigError);
  expect(error).toMatchObject({
    code: 'CONFIG_INVALID',
    path: expect.stringMatching(/config\.json$/) as string,
    faults: [
      {
        path: 'verify',
        received: '"x\\ny"',
        allowed: '"checksum", "contents"',
        message: 'not a valid value',
      },
    ],
  });
});

describe('Encryption settings silently ignored', () => {
  const LACKS = 'this version of cofre does not have';

  test.each([
    ['encryption', { top: { encryption: { recipients: ['age1x'] } } }, TOP_KEYS],
    ['jobs.app.encryption', { job: { encryption: { passphrase: 'x' } } }, JOB_KEYS],
  ])('a setting for something not built is refused: %s', async (path, more, allowed) => {
    const key = path.split('.').at(-1);
    expect(await faultLines(configWith(more))).toEqual([
      `${path}: ${LACKS} \`${key}\` (received "${key}"; allowed: ${allowed})`,
    ]);
  });
});

describe('jobs of a dump', () => {
  const AT = 'jobs.app.sources[0].dumpJobs';

  test.each([{ format: 'plain' }, { format: 'custom' }, {}])(
    'go with no other format: %o',
    async (format) => {
      expect(await faultLines(configWith({ postgres: { ...format, dumpJobs: 2 } }))).toEqual([
        `${AT}: only a dump in the directory format has several jobs (received 2; allowed: nothing, or "format": "directory" beside it)`,
      ]);
    },
  );

  test.each([0, 65, 1.5, '2'])('are a whole number within bounds, not %o', async (dumpJobs) => {
    const lines = await faultLines(configWith({ postgres: { format: 'directory', dumpJobs } }));
    expect(lines).toEqual([expect.stringMatching(/dumpJobs: .*allowed: a whole number from 1 to 64\)$/)]);
  });

  test('go with a source of files no more than its format does', async () => {
    expect(await faultLines(configWith({ files: { dumpJobs: 2 } }))).toEqual([
      expect.stringMatching(/^jobs\.app\.sources\[1\]\.dumpJobs: this key does not go with this `type`/),
    ]);
  });

  test('are two unless it says otherwise', async () => {
    for (const [given, jobs] of [
      [{}, 2],
      [{ dumpJobs: 5 }, 5],
    ] as const) {
      const loaded = await loadFrom(configWith({ postgres: { format: 'directory', ...given } }));
      expect(loaded.config.jobs[0]?.sources[0]).toMatchObject({ format: 'directory', dumpJobs: jobs });
    }
  });
});
