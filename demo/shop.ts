/** A small shop, the same at each run: nothing random, no clock. In SQL that PGlite understands as well. */

const CUSTOMERS = 400;
const PRODUCTS = 120;
const ORDERS = 1_500;

/** The tables, and the view last. */
export const SHOP_RELATIONS = ['customers', 'products', 'orders', 'order_items', 'revenue_by_month'] as const;

/** Rows by relation. */
export type RowCounts = Record<string, number>;

/** Two columns, `relation` and `rows`. Qualified: a restored dump leaves the search path empty. */
export const COUNT_ROWS_SQL = SHOP_RELATIONS.map(
  (name) => `SELECT '${name}' AS relation, count(*)::int AS rows FROM public.${name}`,
).join(' UNION ALL ');

export const SHOP_SQL = `
CREATE TABLE public.customers (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL UNIQUE,
  city text NOT NULL,
  joined_on date NOT NULL
);

CREATE TABLE public.products (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sku text NOT NULL UNIQUE,
  name text NOT NULL,
  price numeric(10,2) NOT NULL CHECK (price > 0),
  stock integer NOT NULL,
  attributes jsonb NOT NULL
);

CREATE SEQUENCE public.invoice_numbers START 10001;

CREATE TABLE public.orders (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  invoice_number bigint NOT NULL UNIQUE DEFAULT nextval('public.invoice_numbers'),
  customer_id integer NOT NULL REFERENCES public.customers,
  placed_at timestamptz NOT NULL,
  status text NOT NULL CHECK (status IN ('paid', 'shipped', 'delivered', 'returned')),
  note text
);

CREATE TABLE public.order_items (
  order_id integer NOT NULL REFERENCES public.orders ON DELETE CASCADE,
  line integer NOT NULL,
  product_id integer NOT NULL REFERENCES public.products,
  quantity integer NOT NULL CHECK (quantity > 0),
  unit_price numeric(10,2) NOT NULL,
  PRIMARY KEY (order_id, line)
);

INSERT INTO public.customers (name, email, city, joined_on)
SELECT
  (ARRAY['Ana','Bruno','Carla','Zoë','Jürgen','Łukasz','Mónica','Søren','Yuki','Inês'])[1 + i % 10] || ' ' ||
    (ARRAY['Silva','Müller','Novák','Ferreira','Jensen','García','O''Brien'])[1 + i % 7],
  'customer' || i || '@example.com',
  (ARRAY['Lisboa','Porto','São Paulo','Wrocław','København'])[1 + i % 5],
  date '2023-01-01' + i * 2
FROM generate_series(1, ${CUSTOMERS}) AS i ORDER BY i;

INSERT INTO public.products (sku, name, price, stock, attributes)
SELECT
  'SKU-' || lpad(i::text, 4, '0'),
  (ARRAY['Teapot','Mug','Plate','Bowl','Vase','Tile'])[1 + i % 6] || ' no. ' || i,
  4 + (i * 37 % 400) / 4.0,
  i * 13 % 90,
  jsonb_build_object('colour', (ARRAY['white','blue','green','ochre'])[1 + i % 4], 'weight_g', 150 + i * 11 % 900)
FROM generate_series(1, ${PRODUCTS}) AS i ORDER BY i;

INSERT INTO public.orders (customer_id, placed_at, status, note)
SELECT
  1 + i * 7919 % ${CUSTOMERS},
  timestamptz '2025-01-01 08:00:00+00' + i * interval '5 hours 40 minutes',
  (ARRAY['delivered','shipped','delivered','paid','delivered','returned'])[1 + i % 6],
  CASE WHEN i % 9 = 0 THEN E'Leave it with the neighbour\\nat no. ' || i % 60 END
FROM generate_series(1, ${ORDERS}) AS i ORDER BY i;

INSERT INTO public.order_items (order_id, line, product_id, quantity, unit_price)
SELECT o.id, line, p.id, 1 + (o.id + line) % 3, p.price
FROM public.orders AS o
CROSS JOIN LATERAL generate_series(1, 1 + o.id * 7 % 4) AS line
JOIN public.products AS p ON p.id = 1 + (o.id * 31 + line * 17) % ${PRODUCTS}
ORDER BY o.id, line;

CREATE INDEX orders_by_customer ON public.orders (customer_id, placed_at);

CREATE VIEW public.revenue_by_month AS
SELECT date_trunc('month', o.placed_at AT TIME ZONE 'UTC') AS month, sum(i.quantity * i.unit_price) AS revenue
FROM public.orders AS o JOIN public.order_items AS i ON i.order_id = o.id
GROUP BY 1;
`;
