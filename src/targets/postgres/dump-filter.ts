import { BackupError } from '../../domain/errors.ts';
import { END_OF_DATA } from '../../formats/dump/copy-data.ts';
import { PlainDumpReader, type UnitInfo } from '../../formats/dump/plain-dump-reader.ts';

/** Longer statements than this are never among those that are left out. */
const COLLECTED_MAX_BYTES = 1 << 20;
const BACKSLASH = 0x5c;
const NEWLINE = 0x0a;
const IDENTIFIER = String.raw`(?:"(?:[^"]|"")+"|[^\s"';]+)`;
const OWNER = new RegExp(String.raw` OWNER TO ${IDENTIFIER};\n$`);
const ALTERATION = /^ALTER /;
const PRIVILEGE = /^(?:GRANT|REVOKE|ALTER DEFAULT PRIVILEGES|(?:SET|RESET) SESSION AUTHORIZATION)\b/;
const SETTING = /^SET ([a-z_]+) (?:=|TO) /;
/** Around the large objects of a dump. The first of them would end a transaction around the whole. */
const TRANSACTION = /^(?:BEGIN|COMMIT);\n$/;
const BACKSLASHES_ARE_ESCAPES =
  /^SET\s+(?:SESSION\s+)?standard_conforming_strings\b(?!\s*(?:=|TO)\s*'?on\b)/i;
/** What may be left out begins with one of these; anything else passes without being collected. */
const OF_INTEREST = /^(?:ALTER|GRANT|REVOKE|SET|RESET|BEGIN|COMMIT)\b/i;

export interface DumpFilterOptions {
  /** False leaves owners, privileges and default privileges out. */
  owners: boolean;
  /** The whole dump is in one transaction: those of its own are left out. */
  singleTransaction: boolean;
  /** Whether psql refuses commands of its own itself (`\restrict`); if not, more is refused here. */
  psqlRestricts: boolean;
  /** Names of all parameters of the server; `SET` of others is left out. */
  parameters: ReadonlySet<string>;
}

/**
 * A plain dump on its way to psql, without what this server or this restore does not want. Data pass through
 * untouched. Where something is left out its newlines stay, so that psql's line numbers are those of the archive.
 *
 * A dump is a program: what it says to the server, it may. What it says to psql runs on this machine, so
 * a command of psql other than `\restrict` and `\unrestrict` throws ARCHIVE_UNSAFE before psql sees it. Those two
 * are left out as well, since the script around the dump has a `\restrict` of its own.
 */
export class DumpFilter {
  readonly #options: DumpFilterOptions;
  readonly #reader: PlainDumpReader;
  /** What passes of the chunk under way; neighbours are joined. */
  #out: Buffer[] = [];
  /** A unit that may be left out, until it is known. */
  #collected: Buffer[] | undefined;
  #collectedBytes = 0;
  /** Backslashes that are accounted for. */
  #backslashes = 0;
  /** Whether the rest of a `\restrict` line that came in pieces is left out too. */
  #isDropping = false;
  readonly #droppedSettings = new Set<string>();

  constructor(options: DumpFilterOptions) {
    this.#options = options;
    this.#reader = new PlainDumpReader({
      unit: (piece, info) => this.#unit(piece, info),
      copyStart: () => undefined,
      rows: (piece) => this.#pass(piece),
      copyEnd: () => this.#pass(END_OF_DATA),
    });
  }

  /** Parameters that this server does not know and that were left out. */
  get droppedSettings(): string[] {
    return [...this.#droppedSettings];
  }

  /**
   * What is to be sent on for these bytes; it is valid as long as they are. Throws ARCHIVE_UNSAFE, and then
   * nothing of this chunk may be sent.
   */
  write(chunk: Buffer): Buffer[] {
    this.#out = [];
    this.#reader.write(chunk);
    return this.#out;
  }

  /** What is left. Throws DUMP_TRUNCATED or DUMP_EMPTY when the dump is not complete. */
  end(): void {
    this.#reader.end();
  }

  #unit(piece: Buffer, info: UnitInfo): void {
    const isCommand = info.isStart && piece[0] === BACKSLASH;
    if (isCommand) this.#backslashes += 1;
    if (info.kind === 'meta' || this.#reader.backslashes !== this.#backslashes) throw unsafeUnit(piece, info);
    switch (info.kind) {
      case 'volatile':
        if (isCommand || this.#isDropping) this.#drop(piece, info);
        else this.#pass(piece);
        return;
      case 'statement':
        this.#statement(piece, info);
        return;
      case 'comment':
      case 'blank':
      case 'copy':
        this.#pass(piece);
        return;
      default:
        info.kind satisfies never;
    }
  }

  #drop(piece: Buffer, { isEnd }: UnitInfo): void {
    this.#isDropping = !isEnd;
    this.#passNewlines(piece);
  }

  #statement(piece: Buffer, { isStart, isEnd }: UnitInfo): void {
    if (isStart) {
      const isOfInterest = OF_INTEREST.test(piece.toString('latin1', 0, 16));
      this.#collected = isOfInterest ? [] : undefined;
      this.#collectedBytes = 0;
    }
    if (this.#collected === undefined) {
      this.#pass(piece);
      return;
    }
    // Copies: a unit may go on in the next chunk.
    this.#collected.push(isStart && isEnd ? piece : Buffer.from(piece));
    this.#collectedBytes += piece.length;
    if (!isEnd && this.#collectedBytes <= COLLECTED_MAX_BYTES) return;
    const statement = this.#collected.length === 1 ? piece : Buffer.concat(this.#collected);
    this.#collected = undefined;
    if (this.#isUnwanted(statement.toString('latin1'))) this.#passNewlines(statement);
    else this.#pass(statement);
  }

  #isUnwanted(statement: string): boolean {
    const { owners, singleTransaction, psqlRestricts, parameters } = this.#options;
    if (!psqlRestricts && BACKSLASHES_ARE_ESCAPES.test(statement)) throw ambiguous();
    if (!owners && (PRIVILEGE.test(statement) || (ALTERATION.test(statement) && OWNER.test(statement)))) {
      return true;
    }
    if (singleTransaction && TRANSACTION.test(statement)) return true;
    const parameter = SETTING.exec(statement)?.[1];
    if (parameter === undefined || parameters.has(parameter)) return false;
    this.#droppedSettings.add(parameter);
    return true;
  }

  #pass(piece: Buffer): void {
    const last = this.#out.at(-1);
    // Pieces of one chunk lie behind one another: one write instead of one per line.
    if (
      last !== undefined &&
      last.buffer === piece.buffer &&
      last.byteOffset + last.length === piece.byteOffset
    ) {
      this.#out[this.#out.length - 1] = Buffer.from(
        piece.buffer,
        last.byteOffset,
        last.length + piece.length,
      );
    } else {
      this.#out.push(piece);
    }
  }

  #passNewlines(piece: Buffer): void {
    const count = piece.reduce((sum, byte) => (byte === NEWLINE ? sum + 1 : sum), 0);
    if (count > 0) this.#pass(Buffer.alloc(count, NEWLINE));
  }
}

function unsafeUnit(piece: Buffer, { kind }: UnitInfo): BackupError {
  const text = piece.toString('utf8', 0, 200).trim().split('\n').at(-1) ?? '';
  return unsafe(`${kind === 'meta' ? `the command "${text.slice(0, 80)}"` : 'a command'} of psql`);
}

/** @param what was found that is none of a dump's. */
export function unsafe(what: string): BackupError {
  return new BackupError('ARCHIVE_UNSAFE', `the archive holds ${what}, which pg_dump never writes`, {
    hint: 'Somebody changed the archive after it was written, in order to run a program where it is restored: find out who, and restore another one.',
  });
}

function ambiguous(): BackupError {
  return new BackupError(
    'TOOL_MISSING',
    'the archive turns standard_conforming_strings off, under which this psql cannot be kept from running commands in it',
    { hint: 'Install a psql with \\restrict: 13.22, 14.19, 15.14, 16.10, 17.6 or newer.' },
  );
}
