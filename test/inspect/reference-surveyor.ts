import { createHash } from 'node:crypto';

interface Section {
  statements: string[];
}

/** What a survey says of a dump as far as the order of its bytes matters: for clearness only. */
export interface ReferenceSurvey {
  /** Key and exact digest. */
  sections: Record<string, string>;
  multisets: string[];
}

/**
 * The sections of a dump of one piece and the multisets of its tables, line by line: for dumps whose statements
 * are a line each, without large objects, and whose columns are in the order of their names.
 */
export function surveyByReference(dump: Buffer): ReferenceSurvey {
  const instances: [string, Section][] = [['preamble', { statements: [] }]];
  const multisets: string[] = [];
  let rows: string[] | undefined;
  for (const line of dump.toString('latin1').split('\n').slice(0, -1)) {
    const [key, section] = instances.at(-1) ?? ['', { statements: [] }];
    const header = /^-- (?:Data for )?Name: (.*); Type: (.*); Schema: (.*); Owner: .*$/.exec(line);
    const isRole = /^(GRANT|REVOKE) /.test(line) ? 'ACL' : / OWNER TO \S+;$/.test(line) ? 'OWNER' : undefined;
    const copy = /^COPY (.*)\.(.*) \((.*)\) FROM stdin;$/.exec(line);
    if (line === '\\.' && rows !== undefined) {
      multisets.push(sumOf(rows.map((row) => `${row}\n`)));
      rows = undefined;
    } else if (rows !== undefined) {
      rows.push(line);
    } else if (header !== null) {
      const [, name, type, schema] = header;
      instances.push([`${type} ${schema === '-' ? '' : `${schema}.`}${utf8(name)}`, { statements: [] }]);
    } else if (copy !== null) {
      rows = [];
      const [, schema = '', table = '', columns = ''] = copy;
      section.statements.push(
        utf8Bytes(JSON.stringify([utf8(schema), utf8(table), ...utf8(columns).split(', ')])),
      );
    } else if (isRole !== undefined && !/^(DEFAULT )?ACL /.test(key)) {
      instances.splice(-1, 0, [`${isRole} ${key}`, { statements: [`${line}\n`] }]);
    } else if (line !== '' && !/^(--|SET default_tablespace)/.test(line)) {
      section.statements.push(`${line}\n`);
    }
  }
  const texts = new Map<string, string[]>();
  for (const [key, { statements }] of instances) {
    if (statements.length > 0) texts.set(key, [...(texts.get(key) ?? []), statements.join('')]);
  }
  const sections = Object.fromEntries([...texts].map(([key, several]) => [key, sumOf(several)]));
  return { sections, multisets };
}

/** The sum of the digests of Latin-1 texts, in lanes of 32 bits. */
function sumOf(texts: readonly string[]): string {
  const lanes = Array.from({ length: 8 }, () => 0n);
  for (const text of texts) {
    const digest = createHash('sha256').update(text, 'latin1').digest();
    lanes.forEach((sum, lane) => {
      lanes[lane] = (sum + BigInt(digest.readUInt32BE(lane * 4))) % 2n ** 32n;
    });
  }
  return lanes.map((lane) => lane.toString(16).padStart(8, '0')).join('');
}

function utf8(latin1 = ''): string {
  return Buffer.from(latin1, 'latin1').toString();
}

function utf8Bytes(text: string): string {
  return Buffer.from(text).toString('latin1');
}
