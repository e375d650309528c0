/*
 * States of the lexer. Everything that needs a look at the next byte is a state or a remembered byte, so
 * that a chunk may end anywhere.
 *
 *   code ── ' ──▶ quoted ── ' ──▶ code            ('' is an end and a start)
 *   code ── E' ─▶ escaped ── ' ──▶ escapedEnd ─▶ escaped (another ') | code
 *   code ── " ──▶ identifier ── " ──▶ code
 *   code ── $ ──▶ tag ── $ ──▶ dollar ── $tag$ ──▶ code
 *   code ── -- ─▶ lineComment ── \n ──▶ code
 *   code ── /* ─▶ blockComment (nests) ── its end ──▶ code
 *   code ── \ ──▶ meta ── \n ──▶ code              (only between statements: psql's own commands)
 */
type State =
  | 'code'
  | 'quoted'
  | 'escaped'
  | 'escapedEnd'
  | 'identifier'
  | 'tag'
  | 'dollar'
  | 'lineComment'
  | 'blockComment'
  | 'meta';

const NEWLINE = 0x0a;
const DOUBLE_QUOTE = 0x22;
const DOLLAR = 0x24;
const QUOTE = 0x27;
const STAR = 0x2a;
const DASH = 0x2d;
const SLASH = 0x2f;
const SEMICOLON = 0x3b;
const BACKSLASH = 0x5c;
const NONE = 0;

/** No identifier is longer than 63 bytes unless PostgreSQL was built so; beyond this `$…` is no quote. */
const TAG_MAX_BYTES = 1_024;

/**
 * Follows a psql script closely enough to know where its statements end: strings (`E''` too), quoted
 * identifiers, dollar quotes, comments. It keeps no text. The rules are those of PostgreSQL's
 * psqlscan.l; what pg_dump never writes is left out: string literals continued on another line, and
 * parentheses, since no statement within a rule's or a function's body can be a COPY.
 */
export class SqlLexer {
  #state: State = 'code';
  /** Whether a statement has begun and not ended. */
  #inStatement = false;
  /** The byte before, where the pair of both means something: in code and in block comments. */
  #previous = NONE;
  /** In code: bytes of the word under way, and whether it is just `e` or `E`. */
  #wordBytes = 0;
  #wordIsE = false;
  #commentDepth = 0;
  /** The delimiter of the dollar quote, with both dollars, and how much of it was seen just now. */
  #delimiter: number[] = [];
  #matched = 0;
  #backslashes = 0;

  /** How many backslashes stood outside of quotes and comments so far: psql takes each for a command of its own. */
  get backslashes(): number {
    return this.#backslashes;
  }

  /** Whether the bytes so far end between statements. */
  get isBetweenStatements(): boolean {
    return this.#state === 'code' && !this.#inStatement;
  }

  /**
   * Reads on from `from` and stops behind the first newline that stands between statements, else at the
   * end of the chunk. Returns where it stopped.
   */
  advance(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length) {
      const end = this.#onlyEndedBy();
      if (end !== undefined) {
        at = chunk.indexOf(end, at);
        if (at === -1) return chunk.length;
      }
      const byte = chunk[at] ?? NONE;
      at += 1;
      this.#read(byte);
      if (byte === NEWLINE && this.isBetweenStatements) return at;
    }
    return at;
  }

  /** The one byte that matters in this state. Large objects are strings of many megabytes: not byte by byte. */
  #onlyEndedBy(): number | undefined {
    switch (this.#state) {
      case 'quoted':
        return QUOTE;
      case 'identifier':
        return DOUBLE_QUOTE;
      case 'dollar':
        return this.#matched === 0 ? DOLLAR : undefined;
      case 'lineComment':
      case 'meta':
        return NEWLINE;
      case 'code':
      case 'escaped':
      case 'escapedEnd':
      case 'tag':
      case 'blockComment':
        return undefined;
      default:
        return this.#state satisfies never;
    }
  }

  #read(byte: number): void {
    switch (this.#state) {
      case 'code':
        this.#readCode(byte);
        return;
      case 'escaped':
        this.#readEscaped(byte);
        return;
      case 'escapedEnd':
        this.#state = byte === QUOTE ? 'escaped' : 'code';
        if (byte !== QUOTE) this.#readCode(byte);
        return;
      case 'tag':
        this.#readTag(byte);
        return;
      case 'dollar':
        this.#readDollar(byte);
        return;
      case 'blockComment':
        this.#readBlockComment(byte);
        return;
      case 'quoted':
      case 'identifier':
      case 'lineComment':
      case 'meta':
        if (byte === this.#onlyEndedBy()) this.#state = 'code';
        return;
      default:
        this.#state satisfies never;
    }
  }

  #readCode(byte: number): void {
    const previous = this.#previous;
    this.#previous = NONE;
    if (byte === DASH && previous === DASH) {
      this.#state = 'lineComment';
      return;
    }
    if (byte === STAR && previous === SLASH) {
      this.#state = 'blockComment';
      this.#commentDepth = 1;
      return;
    }
    // The dash or slash before was no comment.
    if (previous !== NONE) this.#inStatement = true;
    if (isWordByte(byte) || (byte === DOLLAR && this.#wordBytes > 0)) {
      this.#wordIsE = this.#wordBytes === 0 && isE(byte);
      this.#wordBytes += 1;
      this.#inStatement = true;
      return;
    }
    const wordIsE = this.#wordIsE;
    this.#wordBytes = 0;
    this.#wordIsE = false;
    switch (byte) {
      case NEWLINE:
      case 0x20:
      case 0x09:
      case 0x0d:
        return;
      case DASH:
      case SLASH:
        this.#previous = byte;
        return;
      case SEMICOLON:
        this.#inStatement = false;
        return;
      case BACKSLASH:
        this.#backslashes += 1;
        if (!this.#inStatement) this.#state = 'meta';
        return;
      case QUOTE:
        this.#state = wordIsE ? 'escaped' : 'quoted';
        break;
      case DOUBLE_QUOTE:
        this.#state = 'identifier';
        break;
      case DOLLAR:
        this.#state = 'tag';
        this.#delimiter = [DOLLAR];
        break;
      default:
        break;
    }
    this.#inStatement = true;
  }

  #readEscaped(byte: number): void {
    if (this.#previous === BACKSLASH) this.#previous = NONE;
    else if (byte === BACKSLASH) this.#previous = BACKSLASH;
    else if (byte === QUOTE) this.#state = 'escapedEnd';
  }

  #readTag(byte: number): void {
    const isFirst = this.#delimiter.length === 1;
    if (byte === DOLLAR) {
      this.#delimiter.push(byte);
      this.#matched = 0;
      this.#state = 'dollar';
    } else if (isWordByte(byte) && !(isFirst && isDigit(byte)) && this.#delimiter.length < TAG_MAX_BYTES) {
      this.#delimiter.push(byte);
    } else {
      // A parameter such as $1, or a stray dollar: a word begins behind the dollar.
      this.#wordBytes = this.#delimiter.length - 1;
      this.#wordIsE = this.#wordBytes === 1 && isE(this.#delimiter[1]);
      this.#state = 'code';
      this.#readCode(byte);
    }
  }

  #readDollar(byte: number): void {
    // A tag holds no dollar, so a mismatch can only be the start of the delimiter again.
    if (byte === this.#delimiter[this.#matched]) this.#matched += 1;
    else this.#matched = byte === DOLLAR ? 1 : 0;
    if (this.#matched === this.#delimiter.length) this.#state = 'code';
  }

  #readBlockComment(byte: number): void {
    const previous = this.#previous;
    this.#previous = NONE;
    if (byte === STAR && previous === SLASH) this.#commentDepth += 1;
    else if (byte === SLASH && previous === STAR) this.#commentDepth -= 1;
    else this.#previous = byte;
    if (this.#commentDepth === 0) this.#state = 'code';
  }
}

function isE(byte: number | undefined): boolean {
  return byte === 0x45 || byte === 0x65;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** Letters, digits, `_` and every byte of a character that is not ASCII. */
function isWordByte(byte: number): boolean {
  return (
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    isDigit(byte) ||
    byte === 0x5f ||
    byte >= 0x80
  );
}
