/** Every six seconds, to have something to see; `0 2 * * *` would be every night at two. */
const BACKUP_SCHEDULE = '*/6 * * * * *';
/** Four seconds after each backup. */
const RETENTION_SCHEDULE = '4-58/6 * * * * *';

/**
 * The configuration of the demo, for a config.json with `uploads` and `backups` beside it. After each backup
 * a series has two archives, of which retention then removes one: not more than half.
 */
export function demoConfig(databaseUrl: string): Record<string, unknown> {
  return {
    location: './backups',
    jobs: {
      shop: {
        schedule: BACKUP_SCHEDULE,
        sources: [
          { type: 'postgres', name: 'shop', url: databaseUrl },
          { type: 'files', name: 'uploads', directories: ['./uploads'] },
        ],
      },
    },
    retention: { schedule: RETENTION_SCHEDULE, days: 0, keepLast: 1 },
    http: { port: 0 },
  };
}
