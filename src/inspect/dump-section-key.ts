import { isUtf8 } from 'node:buffer';

/** The comment above each object, as in pg_backup_archiver.c; names never hold the newlines they have. */
const HEADER = /^-- (?:Data for )?Name: (.*?); Type: ([A-Z][A-Z ]*); Schema: (.*?); Owner: /s;
/** Their comments name the kind of object first: `Name: TABLE orders; Type: COMMENT; Schema: public`. */
const WITH_KIND = ['ACL', 'COMMENT', 'SECURITY LABEL'];
const KIND = /^([A-Z]+(?: [A-Z]+)*) (.*)$/s;
const LARGE_OBJECT = /^LARGE OBJECTS? /;
const LARGE_OBJECTS = 'large objects';
const NO_SCHEMA = '-';
/** Twice in a comment, it is part of a name: of the object or of its owner. */
const TYPE = '; Type: ';

export interface SectionHeader {
  /** What pg_dump calls the kind of the entry: `TABLE`, `TABLE DATA`, `ACL`. */
  type: string;
  /** `TABLE public.orders` */
  key: string;
  /** Whether it is the section that all large objects share: as many statements as there are objects. */
  isLargeObjects: boolean;
  /** That it is in; absent for what is in none, and where the names of object and owner leave it open. */
  schema?: string;
}

/**
 * What pg_dump's comment above an object says, or undefined for any other comment. The owner is left out. All
 * large objects share one key: there may be millions, and how they are grouped depends on the version and on
 * their owners.
 */
export function parseSectionHeader(comment: Buffer): SectionHeader | undefined {
  const text = comment.toString(isUtf8(comment) ? 'utf8' : 'latin1');
  const match = HEADER.exec(text);
  if (match === null) return undefined;
  const [, name = '', type = '', schema = ''] = match;
  const isWithKind = WITH_KIND.includes(type);
  const isLargeObjects = type.startsWith('BLOB') || (isWithKind && LARGE_OBJECT.test(name));
  const subject = isLargeObjects ? LARGE_OBJECTS : subjectOf(name, schema, isWithKind);
  // `Name: CAST (integer AS text); Type: CAST`
  const key = subject.startsWith(`${type} `) ? subject : `${type} ${subject}`;
  const isKnown = isInSchema(schema) && text.indexOf(TYPE) === text.lastIndexOf(TYPE);
  return { type, key, isLargeObjects, ...(isKnown ? { schema } : {}) };
}

function isInSchema(schema: string): boolean {
  return schema !== NO_SCHEMA && schema !== '';
}

function subjectOf(name: string, schema: string, isWithKind: boolean): string {
  if (!isInSchema(schema)) return name;
  const [, kind, rest] = (isWithKind ? KIND.exec(name) : undefined) ?? [];
  return kind === undefined ? `${schema}.${name}` : `${kind} ${schema}.${rest}`;
}
