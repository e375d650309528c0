/**
 * Everything a lexer of dumps may stumble over, as SQL for psql. The text that looks like the header of a
 * COPY block is in places where pg_dump writes it on a line of its own.
 */
const HEADER = 'COPY public.fake (a) FROM stdin;';
const LOOKALIKE = `line\n${HEADER}\n1\n\\.\n-- Dumped from database version 1.0\n\\restrict x\n--\n-- PostgreSQL database dump complete\n--\n`;

export const ODD_DATABASE = `
SET client_encoding = 'UTF8';
SET check_function_bodies = off;

CREATE TABLE public."COPY" ("FROM" int, stdin text, "a;b" text);
INSERT INTO public."COPY" SELECT n, 'row ' || n, 'x' FROM generate_series(1, 1000) n;
CREATE TABLE public.copy (copy text);
INSERT INTO public.copy VALUES ('a');

CREATE SCHEMA "We""ird ſchema";
CREATE TABLE "We""ird ſchema"."Таблица ""x"" (a, b) FROM stdin;" ("ключ 'x'" text, "$$" int);
INSERT INTO "We""ird ſchema"."Таблица ""x"" (a, b) FROM stdin;" VALUES ('é', 1), (NULL, NULL);
CREATE TABLE public."two
lines
${HEADER}
" ("a
b" int);
INSERT INTO public."two
lines
${HEADER}
" VALUES (1), (2);

CREATE TABLE public.no_columns ();
INSERT INTO public.no_columns DEFAULT VALUES;
INSERT INTO public.no_columns DEFAULT VALUES;
CREATE TABLE public.no_rows (a int, b text);

CREATE TABLE public.texts (id int PRIMARY KEY, t text);
INSERT INTO public.texts VALUES
  (1, E'\\\\.'), (2, E'\\\\.\\n'), (3, E'a\\tb\\nc\\rd\\\\'), (4, ''), (5, NULL), (6, E'\\\\N'), (7, E'\\n\\\\.\\n'),
  (8, $lookalike$${LOOKALIKE}$lookalike$), (9, repeat('long ', 100000)), (10, E'\\\\'), (11, '.'), (12, 'it''s "x" $$ /* --');
CREATE TABLE public.only_text (t text);
INSERT INTO public.only_text VALUES (E'\\\\.'), (''), ('.'), (E'\\\\'), ('${HEADER}'), ('-- PostgreSQL database dump complete');

CREATE TABLE public.kinds (
  f float8, n numeric, d timestamptz, b bytea, a text[], j json, jb jsonb, r int4range, u uuid, p point, bits bit varying
);
INSERT INTO public.kinds VALUES
  ('NaN', 'NaN', 'infinity', '\\x005c2e0a0d27', '{"a,b","c\\"d",NULL,"\\\\."}', '{"a": "\\\\.\\n"}', '{"k": [1, null]}',
    '[1,5)', '00000000-0000-0000-0000-000000000001', '(1,2)', B'101'),
  ('-infinity', 1e-20, '-infinity', '', '{}', 'null', 'null', 'empty', NULL, NULL, ''),
  ('-0', 12345678901234567890.123, '0044-03-15 BC', NULL, '{{1,2},{3,4}}', '[]', '{}', '(,)', NULL, NULL, NULL);

CREATE TABLE public.generated (a int, b int GENERATED ALWAYS AS (a * 2) STORED, c int GENERATED ALWAYS AS IDENTITY);
INSERT INTO public.generated (a) SELECT n FROM generate_series(1, 10) n;

CREATE TABLE public.parted (at date NOT NULL, v text) PARTITION BY RANGE (at);
CREATE TABLE public.parted_2025 PARTITION OF public.parted FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE public.parted_rest PARTITION OF public.parted DEFAULT;
INSERT INTO public.parted VALUES ('2025-05-05', 'a'), ('2026-01-01', 'b'), ('2024-12-31', 'c');

CREATE FUNCTION public.body() RETURNS text LANGUAGE plpgsql AS $outer$
BEGIN
${LOOKALIKE}$x$ $$ ' " /* E'\\'
END
$outer$;
CREATE FUNCTION public.atomic(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC
  SELECT a AS "${HEADER}";
  SELECT a + length('${LOOKALIKE}');
END;
COMMENT ON FUNCTION public.body() IS '${LOOKALIKE}''';
COMMENT ON TABLE public.texts IS $lookalike$\n${LOOKALIKE}$lookalike$;
CREATE VIEW public.lookalike AS SELECT '${LOOKALIKE}'::text AS "
${HEADER}
", E'\\\\' AS backslash;
CREATE MATERIALIZED VIEW public.stored AS SELECT * FROM public.texts;
CREATE RULE ruled AS ON INSERT TO public.no_rows DO ALSO (INSERT INTO public.copy VALUES (';'); NOTIFY "COPY", '
${HEADER}
');
ALTER TABLE public.no_rows ALTER COLUMN b SET DEFAULT E'${LOOKALIKE.replaceAll('\\', '\\\\')}\\'';

SELECT lo_from_bytea(90001, decode(repeat('5c2e0a', 50000), 'hex'));
SELECT lo_from_bytea(90002, '');
COMMENT ON LARGE OBJECT 90001 IS '${LOOKALIKE}';
`;
