import type { Cluster } from '../tools/cluster.ts';

const CUSTOMERS = 660_000;
const ORDERS = 4_400_000;
const EVENTS = 2_200_000;
/** Of a row of the table `payload`, in a plain dump. */
const PAYLOAD_BYTES = 96_000;
const DIGEST_BYTES = 32;

/**
 * A shop: customers, orders, and events with jsonb; a plain dump of 600 MB at scale 1. The same rows each time
 * with the same major version of PostgreSQL.
 */
export async function makeShop(cluster: Cluster, name: string, scale: number): Promise<void> {
  const customers = rows(CUSTOMERS * scale);
  await cluster.createDatabase(name);
  await cluster.psql(
    name,
    `SELECT setseed(0.5);
     CREATE TABLE customers AS
       SELECT n AS id, 'Customer ' || n AS name, 'user' || n || '@example.com' AS email,
              timestamptz '2020-01-01 00:00+00' + n * interval '7 minutes' AS created_at, md5(n::text) AS token
         FROM generate_series(1, ${customers}) n;
     CREATE TABLE orders AS
       SELECT n AS id, (random() * ${customers - 1})::int + 1 AS customer_id,
              (random() * 1000)::numeric(10, 2) AS total,
              timestamptz '2021-01-01 00:00+00' + n * interval '31 seconds' AS at,
              (ARRAY['new', 'paid', 'shipped', 'returned'])[1 + n % 4] AS status
         FROM generate_series(1, ${rows(ORDERS * scale)}) n;
     CREATE TABLE events AS
       SELECT n AS id, 'page_view' AS kind,
              jsonb_build_object('path', '/product/' || n % 5000, 'ms', (random() * 900)::int,
                'agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36') AS data,
              timestamptz '2022-01-01 00:00+00' + n * interval '3 seconds' AS at
         FROM generate_series(1, ${rows(EVENTS * scale)}) n;
     ALTER TABLE customers ADD PRIMARY KEY (id);
     ALTER TABLE orders ADD PRIMARY KEY (id), ADD FOREIGN KEY (customer_id) REFERENCES customers;
     ALTER TABLE events ADD PRIMARY KEY (id);
     VACUUM ANALYZE;
     CHECKPOINT;`,
  );
}

/** A database whose plain dump is as long as asked for and which takes about a hundredth of that on disk. */
export async function makeWideDatabase(cluster: Cluster, name: string, bytes: number): Promise<void> {
  await cluster.createDatabase(name);
  await cluster.psql(
    name,
    `CREATE TABLE payload AS
       SELECT n AS id, repeat(md5(n::text), ${PAYLOAD_BYTES / DIGEST_BYTES}) AS data
         FROM generate_series(1, ${rows(bytes / PAYLOAD_BYTES)}) n;
     VACUUM ANALYZE;
     CHECKPOINT;`,
  );
}

function rows(count: number): number {
  return Math.max(1, Math.round(count));
}
