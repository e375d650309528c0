import { defineConfig } from 'vitest/config';

/** `*.pg.test.ts` needs PostgreSQL's programs, `*.e2e.test.ts` also spawns the whole program. */
const REAL_POSTGRES = ['test/**/*.pg.test.ts', 'test/**/*.e2e.test.ts'];

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Many of these tests mostly wait for processes; by itself vitest leaves a core of two idle, and two workers do so
    // part of the time. The unit tests come last, and are short: no long file runs alone at the end.
    maxWorkers: 3,
    globalSetup: ['test/support/build-program.ts'],
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: REAL_POSTGRES },
      },
      {
        extends: true,
        test: {
          name: 'postgres',
          include: REAL_POSTGRES,
          globalSetup: ['test/support/build-program.ts', 'test/support/require-postgres.ts'],
        },
      },
    ],
  },
});
