import type { DumpNeeds, DumpSchemas } from '../domain/dump-survey.ts';
import { nameOf, type SqlToken } from '../formats/dump/sql-tokens.ts';

/** Roles that every server knows, or that stand for whoever is logged in. */
const NO_ROLES = ['PUBLIC', 'CURRENT_ROLE', 'CURRENT_USER', 'SESSION_USER', 'DEFAULT'];
/** What only a superuser may own, as the words behind ALTER. */
const OF_SUPERUSERS = ['EVENT TRIGGER', 'FOREIGN DATA WRAPPER', 'SUBSCRIPTION'];
const PREDEFINED = 'pg_';
/** Schemas that every database has. */
const OF_SERVER = /^(?:pg_.*|information_schema)$/s;

/** Collects what it takes to restore a dump from its statements, as pg_dump and pg_dumpall write them. */
export class NeedsCollector {
  readonly #roles = new Set<string>();
  readonly #superusers = new Set<string>();
  readonly #extensions = new Set<string>();
  readonly #tablespaces = new Set<string>();
  /** Roles that the dump makes itself: that of a whole cluster. */
  readonly #made = new Set<string>();
  /** Publications of all tables, which only a superuser may own either. */
  readonly #publications = new Set<string>();
  readonly #madeSchemas = new Set<string>();

  /** @param statement without comments. */
  read(statement: readonly SqlToken[]): void {
    switch (wordAt(statement, 0)) {
      case 'ALTER':
        this.#readAlter(statement);
        return;
      case 'GRANT':
      case 'REVOKE':
        this.#readGrant(statement);
        return;
      case 'SET':
        this.#readSet(statement);
        return;
      case 'CREATE':
        this.#readCreate(statement);
        return;
      default:
    }
  }

  needs(): DumpNeeds {
    return {
      roles: sorted(this.#roles).filter((role) => !this.#made.has(role)),
      superusers: sorted(this.#superusers),
      extensions: sorted(this.#extensions),
      tablespaces: sorted(this.#tablespaces),
    };
  }

  /** @param entered schemas that entries of the dump are in. */
  schemas(entered: ReadonlySet<string>): DumpSchemas {
    const used = this.#extensions.size > 0 ? [] : sorted(entered);
    return {
      made: sorted(this.#madeSchemas),
      used: used.filter((name) => !this.#madeSchemas.has(name) && !OF_SERVER.test(name)),
    };
  }

  #readAlter(statement: readonly SqlToken[]): void {
    const owner = ownerIn(statement);
    if (owner !== undefined) {
      this.#addRole(owner);
      if (this.#isOfSuperuser(statement)) this.#addRole(owner, this.#superusers);
    } else if (begins(statement, 'ALTER DEFAULT PRIVILEGES')) {
      this.#readList(statement, behind(statement, 'FOR', 3) + 1);
      const grant = statement.findIndex(
        (_token, at) => at > 2 && isOneOf(statement, at, ['GRANT', 'REVOKE']),
      );
      this.#readGrant(statement.slice(grant));
    } else if (begins(statement, 'ALTER ROLE')) {
      this.#addRole(statement[2]);
    }
  }

  #isOfSuperuser(statement: readonly SqlToken[]): boolean {
    if (OF_SUPERUSERS.some((kind) => begins(statement, `ALTER ${kind}`))) return true;
    return begins(statement, 'ALTER PUBLICATION') && this.#publications.has(statement[2]?.text ?? '');
  }

  /** Privileges on an object, and, without ON, membership in a role. */
  #readGrant(statement: readonly SqlToken[]): void {
    const names = behind(statement, wordAt(statement, 0) === 'GRANT' ? 'TO' : 'FROM', 1);
    this.#readList(statement, names);
    const on = behind(statement, 'ON', 1);
    if (on > names) this.#readList(statement, 1);
    const grantor = behind(statement, 'GRANTED', names);
    this.#addRole(statement[grantor + 1]);
  }

  #readSet(statement: readonly SqlToken[]): void {
    if (begins(statement, 'SET SESSION AUTHORIZATION')) this.#addRole(statement[3]);
    if (begins(statement, 'SET default_tablespace')) this.#addTablespace(statement[3]);
  }

  #readCreate(statement: readonly SqlToken[]): void {
    if (begins(statement, 'CREATE EXTENSION')) {
      const hasCondition = wordAt(statement, 2) === 'IF';
      add(this.#extensions, statement[hasCondition ? 5 : 2]);
    } else if (begins(statement, 'CREATE USER MAPPING')) {
      this.#addRole(statement[behind(statement, 'FOR', 3)]);
    } else if (begins(statement, 'CREATE POLICY')) {
      this.#readList(statement, behind(statement, 'TO', 2));
    } else if (begins(statement, 'CREATE TABLESPACE')) {
      this.#addRole(statement[behind(statement, 'OWNER', 3)]);
    } else if (begins(statement, 'CREATE ROLE')) {
      add(this.#made, statement[2]);
    } else if (begins(statement, 'CREATE PUBLICATION')) {
      if (begins(statement.slice(3), 'FOR ALL TABLES')) this.#publications.add(statement[2]?.text ?? '');
    } else if (begins(statement, 'CREATE SCHEMA')) {
      add(this.#madeSchemas, statement[2]);
      this.#addRole(statement[behind(statement, 'AUTHORIZATION', 2)]);
    } else if (begins(statement, 'CREATE DATABASE')) {
      const at = behind(statement, 'TABLESPACE', 3);
      this.#addTablespace(statement[statement[at]?.text === '=' ? at + 1 : at]);
    }
  }

  /** Reads names with commas between. */
  #readList(statement: readonly SqlToken[], from: number): void {
    let at = from;
    this.#addRole(statement[at]);
    while (statement[at + 1]?.text === ',') {
      at += 2;
      this.#addRole(statement[at]);
    }
  }

  #addRole(token: SqlToken | undefined, to = this.#roles): void {
    if (token?.kind === 'word' && NO_ROLES.includes(token.text.toUpperCase())) return;
    add(to, token);
  }

  #addTablespace(token: SqlToken | undefined): void {
    add(this.#tablespaces, token);
  }
}

/** What a statement is that names roles and nothing else; undefined for any other. */
export function roleStatementOf(statement: readonly SqlToken[]): 'owner' | 'acl' | 'defaultAcl' | undefined {
  switch (wordAt(statement, 0)) {
    case 'GRANT':
    case 'REVOKE':
      return 'acl';
    case 'SET':
    case 'RESET':
      return wordAt(statement, 1) === 'SESSION' && wordAt(statement, 2) === 'AUTHORIZATION'
        ? 'owner'
        : undefined;
    case 'ALTER':
      if (begins(statement, 'ALTER DEFAULT PRIVILEGES')) return 'defaultAcl';
      return ownerIn(statement) === undefined ? undefined : 'owner';
    default:
      return undefined;
  }
}

/** The role of `ALTER … OWNER TO role;`. */
function ownerIn(statement: readonly SqlToken[]): SqlToken | undefined {
  const last = statement.length - 1;
  const isOwner = wordAt(statement, last - 3) === 'OWNER' && wordAt(statement, last - 2) === 'TO';
  return isOwner && statement[last]?.text === ';' ? statement[last - 1] : undefined;
}

/**
 * Behind the first such keyword from `from` on that stands in no parentheses, else behind the statement. Names
 * that are written like these are in quotes, since all are reserved or stand where no name does.
 */
function behind(statement: readonly SqlToken[], keyword: string, from: number): number {
  let depth = 0;
  for (let at = from; at < statement.length; at += 1) {
    const text = statement[at]?.text;
    if (text === '(') depth += 1;
    else if (text === ')') depth -= 1;
    else if (depth === 0 && wordAt(statement, at) === keyword) return at + 1;
  }
  return statement.length;
}

function begins(statement: readonly SqlToken[], words: string): boolean {
  return words.split(' ').every((word, at) => wordAt(statement, at) === word);
}

function isOneOf(statement: readonly SqlToken[], at: number, words: readonly string[]): boolean {
  return words.includes(wordAt(statement, at));
}

function wordAt(statement: readonly SqlToken[], at: number): string {
  const token = statement[at];
  return token?.kind === 'word' ? token.text : '';
}

function add(to: Set<string>, token: SqlToken | undefined): void {
  if (token === undefined || token.kind === 'symbol') return;
  const name = nameOf(token);
  if (name !== '' && !name.startsWith(PREDEFINED)) to.add(name);
}

function sorted(names: ReadonlySet<string>): string[] {
  return [...names].sort();
}
