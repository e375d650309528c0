import type { Cluster } from '../tools/cluster.ts';

/** Of what a row of the wide table takes in a plain dump. */
const WIDE_ROW_BYTES = 16_500;
/** Of the narrow table, for each megabyte of the wide one. */
const NARROW_ROWS = 2_000;
/** Blocks that the rows are made of: together more than a compressor looks back. */
const BLOCKS = 4_096;

/**
 * A database with one table of wide rows, half text and half bytea, which hardly compress beyond what hexadecimal
 * digits do, and one of many narrow rows.
 * @param megabytes of the wide table in a plain dump.
 */
export async function makeDatabase(cluster: Cluster, name: string, megabytes: number): Promise<void> {
  const rows = Math.round((megabytes * 1_000_000) / WIDE_ROW_BYTES);
  await cluster.createDatabase(name);
  await cluster.psql(
    name,
    `SELECT setseed(0.5);
     CREATE TEMP TABLE block AS
       SELECT n AS id, (SELECT string_agg(md5(n::text || ' ' || part), '') FROM generate_series(1, 128) part) AS hex
         FROM generate_series(0, ${BLOCKS - 1}) n;
     CREATE INDEX ON block (id);
     ANALYZE block;
     CREATE TABLE wide (id bigint PRIMARY KEY, at timestamptz NOT NULL, note text NOT NULL, data bytea NOT NULL);
     INSERT INTO wide
       SELECT n, timestamptz '2026-01-01 00:00+00' + n * interval '1 minute',
              a.hex || b.hex, decode(c.hex || d.hex, 'hex')
         FROM generate_series(1, ${rows}::bigint) n
         JOIN block a ON a.id = n * 7919 % ${BLOCKS}
         JOIN block b ON b.id = (n * 104729 + 1) % ${BLOCKS}
         JOIN block c ON c.id = (n * 1299709 + 2) % ${BLOCKS}
         JOIN block d ON d.id = (n * 15485863 + 3) % ${BLOCKS};
     CREATE TABLE narrow (id int PRIMARY KEY, wide_id bigint NOT NULL, amount numeric(12, 2) NOT NULL);
     INSERT INTO narrow
       SELECT n, n % ${rows} + 1, (random() * 10000)::numeric(12, 2)
         FROM generate_series(1, ${megabytes * NARROW_ROWS}) n;
     CREATE INDEX ON narrow (wide_id);`,
  );
}
