import {
  type DumpNeeds,
  type DumpSchemas,
  type DumpSection,
  isAboutRoles,
  ROLE_SECTIONS,
} from '../domain/dump-survey.ts';
import type { CopyTarget } from '../formats/dump/copy-header.ts';
import type { UnitInfo } from '../formats/dump/plain-dump-reader.ts';
import { type SqlToken, tokensOf } from '../formats/dump/sql-tokens.ts';
import { looseText } from './dump-loose-text.ts';
import { NeedsCollector, roleStatementOf } from './dump-needs.ts';
import { parseSectionHeader, type SectionHeader } from './dump-section-key.ts';
import { SectionDigests } from './dump-sections.ts';

/** What stands before the first object: the settings of the session. */
const PREAMBLE: SectionHeader = { type: '', key: 'preamble', isLargeObjects: false };
/** Data written as statements: compared byte by byte, and never kept whole. */
const DATA_TYPES = ['TABLE DATA', 'BLOBS', 'SEQUENCE SET'];
/** In a section of data, the statements that are no data. pg_dump writes some before the comment they belong to. */
const NO_DATA = /^(?:SET|RESET|ALTER|GRANT|REVOKE) /;
const LARGE_OBJECT_START = 'SELECT pg_catalog.lo_open(';
/** How pg_dumpall begins: no object has a comment of its own there, so each statement is a section. */
const CLUSTER_DUMP = '-- PostgreSQL database cluster dump\n';
/** `CREATE ROLE alice`, `ALTER ROLE alice`, `GRANT admins TO alice`: never as far as a password. */
const CLUSTER_KEY_TOKENS = { GRANT: 4, other: 3 };
const TRANSACTION = /^(?:BEGIN|COMMIT);\n$/;
const VERSION = /^-- Dumped (from database|by pg_dump) version (.*)\n$/;
/** Settings that pg_dump changes on the way, and the types of the objects that they matter to. */
const SETTINGS: Readonly<Record<string, { standard: string; types: readonly string[] }>> = {
  default_tablespace: { standard: "''", types: ['TABLE', 'MATERIALIZED VIEW', 'INDEX', 'CONSTRAINT'] },
  default_table_access_method: { standard: 'heap', types: ['TABLE', 'MATERIALIZED VIEW'] },
};
/** A longer statement, which none but a function can be, is compared byte by byte. */
const STATEMENT_MAX_BYTES = 1 << 20;

/** How the unit under way is dealt with: kept until it ends, digested as it comes, or left out. */
type Mode = 'kept' | 'digested' | 'ignored';

/** Derives sections, needs and versions from the units of a plain dump. Keeps no text beyond one statement. */
export class SchemaSurvey {
  readonly #digests = new SectionDigests(PREAMBLE.key);
  readonly #needs = new NeedsCollector();
  readonly #settings = new Map<string, { value: string; text: Buffer }>();
  readonly #versions = new Map<string, string>();
  /** Schemas that entries are in. */
  readonly #entered = new Set<string>();
  #section = PREAMBLE;
  #mode: Mode = 'ignored';
  #isCluster = false;
  #kept: Buffer[] = [];
  #keptBytes = 0;

  unit(piece: Buffer, info: UnitInfo): void {
    if (info.isStart) this.#mode = this.#modeOf(piece, info);
    if (this.#mode === 'kept') this.#keep(piece, info);
    else if (this.#mode === 'digested') this.#digests.add(piece);
  }

  /** The header of a COPY block: in the order of their names, as a restore may change that of the columns. */
  copy({ schema, name }: CopyTarget, columns: readonly string[]): void {
    this.#digests.add(Buffer.from(JSON.stringify([schema, name, ...[...columns].sort()])));
  }

  /** Once the dump has ended. */
  sections(): Map<string, DumpSection> {
    return this.#digests.end();
  }

  needs(): DumpNeeds {
    return this.#needs.needs();
  }

  schemas(): DumpSchemas {
    return this.#needs.schemas(this.#entered);
  }

  /** As the comments at the dump's start say: of the server, and of pg_dump. */
  versions(): { server_version?: string; tool_version?: string } {
    const server_version = this.#versions.get('from database');
    const tool_version = this.#versions.get('by pg_dump');
    return {
      ...(server_version === undefined ? {} : { server_version }),
      ...(tool_version === undefined ? {} : { tool_version }),
    };
  }

  #modeOf(start: Buffer, { kind }: UnitInfo): Mode {
    switch (kind) {
      case 'volatile':
      case 'comment':
        return 'kept';
      case 'meta':
        return 'digested';
      case 'blank':
      case 'copy':
        return 'ignored';
      case 'statement':
        return this.#modeOfStatement(start.toString('latin1', 0, LARGE_OBJECT_START.length));
      default:
        return kind satisfies never;
    }
  }

  #modeOfStatement(head: string): Mode {
    const { type, key } = this.#section;
    if (!DATA_TYPES.includes(type) || NO_DATA.test(head)) return 'kept';
    if (type !== 'BLOBS') return 'digested';
    // How many objects go into one transaction depends on the version and on their owners.
    if (TRANSACTION.test(head)) return 'ignored';
    if (head === LARGE_OBJECT_START) this.#digests.begin(key, true);
    return 'digested';
  }

  #keep(piece: Buffer, { kind, isEnd }: UnitInfo): void {
    this.#keptBytes += piece.length;
    if (this.#keptBytes > STATEMENT_MAX_BYTES) {
      this.#mode = kind === 'statement' ? 'digested' : 'ignored';
      const parts = [...this.#takeKept(), piece];
      if (this.#mode === 'digested') for (const part of parts) this.#digests.add(part);
    } else if (isEnd) {
      const kept = this.#takeKept();
      this.#end(kept.length === 0 ? piece : Buffer.concat([...kept, piece]), kind);
    } else {
      // A copy: the bytes of a chunk may be used again.
      this.#kept.push(Buffer.from(piece));
    }
  }

  #takeKept(): readonly Buffer[] {
    const kept = this.#kept;
    this.#kept = [];
    this.#keptBytes = 0;
    return kept;
  }

  #end(unit: Buffer, kind: UnitInfo['kind']): void {
    if (kind === 'statement') {
      this.#readStatement(unit);
    } else if (kind === 'comment') {
      this.#isCluster ||= unit.toString('latin1', 0, CLUSTER_DUMP.length) === CLUSTER_DUMP;
      const header = parseSectionHeader(unit);
      if (header !== undefined) this.#begin(header);
    } else {
      const [, what, version] = VERSION.exec(unit.toString('latin1')) ?? [];
      if (what !== undefined && version !== undefined && !this.#versions.has(what)) {
        this.#versions.set(what, version);
      }
    }
  }

  #begin(header: SectionHeader): void {
    this.#section = header;
    if (header.schema !== undefined) this.#entered.add(header.schema);
    this.#digests.begin(header.key, DATA_TYPES.includes(header.type));
    for (const [name, { value, text }] of this.#settings) {
      const { standard, types } = SETTINGS[name] ?? { standard: '', types: [] };
      if (value !== standard && types.includes(header.type)) this.#digests.add(text);
    }
  }

  #readStatement(text: Buffer): void {
    const tokens = tokensOf(text.toString('latin1'));
    const statement = tokens.filter(({ kind }) => kind !== 'comment');
    this.#needs.read(statement);
    if (this.#readSetting(statement, text)) return;
    const { key, isForItself } = this.#placeOf(statement);
    if (isForItself) this.#digests.addAside(key, text, this.#isCluster ? wherever(statement) : undefined);
    else this.#digests.add(text, () => looseText(statement));
  }

  /** Where a statement is compared, and whether apart from the others of its section. */
  #placeOf(statement: readonly SqlToken[]): { key: string; isForItself: boolean } {
    const { key, isLargeObjects } = this.#section;
    if (this.#isCluster) return { key: clusterKey(statement), isForItself: true };
    const role = isAboutRoles(key) ? undefined : roleStatementOf(statement);
    const isForItself = role !== undefined || isLargeObjects;
    return { key: role === undefined ? key : ROLE_SECTIONS[role] + key, isForItself };
  }

  /** A setting belongs to the objects behind it, not to the one whose section it happens to close. */
  #readSetting(statement: readonly SqlToken[], text: Buffer): boolean {
    const [set, name, , value] = statement;
    if (set?.text !== 'SET' || name === undefined || !Object.hasOwn(SETTINGS, name.text)) return false;
    this.#settings.set(name.text, { value: value?.text ?? '', text: Buffer.from(text) });
    return true;
  }
}

/** A tablespace without its directory, which is another on every machine. */
function wherever(statement: readonly SqlToken[]): string | undefined {
  const words = statement.map(({ text }) => text);
  if (words[0] !== 'CREATE' || words[1] !== 'TABLESPACE') return undefined;
  const at = words.indexOf('LOCATION', 3);
  return [...words.slice(0, at), ...words.slice(at + 2)].join(' ');
}

function clusterKey(statement: readonly SqlToken[]): string {
  const count = statement[0]?.text === 'GRANT' ? CLUSTER_KEY_TOKENS.GRANT : CLUSTER_KEY_TOKENS.other;
  const words = statement.slice(0, count).map(({ text }) => text);
  // Names come as the bytes of the dump.
  return Buffer.from(words.join(' '), 'latin1').toString();
}
