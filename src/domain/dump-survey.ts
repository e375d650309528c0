import type { DatabaseContents } from './manifest.ts';
import type { RowCensus } from './row-census.ts';

/** What a dump says that it takes to restore it. Names are unquoted, sorted, each once. */
export interface DumpNeeds {
  /** Named as owners, grantors, grantees, in policies and user mappings; without `PUBLIC` and `pg_…`. */
  roles: string[];
  /**
   * Of these, owners of what only a superuser may own: event triggers, foreign-data wrappers, subscriptions, and
   * publications of all tables.
   */
  superusers: string[];
  extensions: string[];
  tablespaces: string[];
}

/** Schemas, by what a dump does about them. Names are unquoted, sorted, each once. */
export interface DumpSchemas {
  /** Made by the dump; `public` only by one of chosen schemas. */
  made: string[];
  /**
   * Not made by it, and something of it is put there: by one of chosen tables. Empty for a dump with extensions, which
   * may make schemas of their own.
   */
  used: string[];
}

/**
 * The statements between two of pg_dump's comments that begin the entry of an object, without COPY data. Entries
 * with the same key (overloaded operators; large objects, which share one) are one section, whatever their order.
 */
export interface DumpSection {
  /** SHA-256 of its text, 64 hex digits, without what names roles; of several entries, the sum of theirs. */
  exact: string;
  /**
   * The same with casts, parentheses and white space left out: how PostgreSQL writes an expression changes with
   * each dump and restore (`(ARRAY['a'::varchar])::text[]` comes back as `ARRAY[('a'::varchar)::text]`).
   */
  loose: string;
}

/** A dump as a drill compares it. */
export interface DumpSurvey {
  contents: DatabaseContents;
  /**
   * In the order of `contents.tables`: a digest of the rows that is the same in any order of rows and of columns;
   * where it was asked for.
   */
  multisets: (string | undefined)[];
  /** Of the same tables, to tell how many rows differ. */
  censuses: (RowCensus | undefined)[];
  /** By what they are about: `TABLE public.orders`. Owners, privileges and default privileges stand for themselves. */
  sections: ReadonlyMap<string, DumpSection>;
  needs: DumpNeeds;
  schemas: DumpSchemas;
  /** As the dump's own comments say: `15.18 (Debian 15.18-0+deb12u1)`. */
  server_version?: string;
  tool_version?: string;
}

/** What the keys of sections begin with that name roles: owners, privileges and default privileges. */
export const ROLE_SECTIONS = { owner: 'OWNER ', acl: 'ACL ', defaultAcl: 'DEFAULT ACL ' } as const;

/** Whether a section can be compared only where every role of the source is there. */
export function isAboutRoles(key: string): boolean {
  return Object.values(ROLE_SECTIONS).some((prefix) => key.startsWith(prefix));
}
