/** A cron expression that is due once, `seconds` from now, and then not for a year. UTC. */
export function soon(seconds: number): string {
  const at = new Date(Date.now() + seconds * 1000);
  const fields = [
    at.getUTCSeconds(),
    at.getUTCMinutes(),
    at.getUTCHours(),
    at.getUTCDate(),
    at.getUTCMonth() + 1,
  ];
  return `${fields.join(' ')} *`;
}
