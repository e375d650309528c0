import { isGlobalsSource } from '../domain/archive-name.ts';
import type { DumpSchemas, DumpSurvey } from '../domain/dump-survey.ts';
import { BackupError, toBackupError } from '../domain/errors.ts';
import { type Manifest, tableKey } from '../domain/manifest.ts';
import type { ByteStream } from '../domain/ports.ts';
import type { ScratchDatabase } from '../domain/restore-ports.ts';
import {
  compareSurveys,
  type SurveyComparison,
  tablesWrittenOtherwise,
} from '../domain/survey-comparison.ts';
import { rawBytes, summed } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';
import {
  type DrillFinding,
  type OnDrillProgress,
  isOfArchive,
  notAsRecorded,
  tellingStep,
  thrownAway,
} from './drill-finding.ts';
import { elapsedSince } from './elapsed.ts';
import { drillGlobals } from './drill-globals.ts';
import type { DumpSelection, RestoreAdapters } from './restore-adapters.ts';
import { describeSome, plural } from '../domain/plural.ts';
import { printable } from '../domain/printable.ts';
import { majorOf } from '../domain/server-version.ts';
import { surveyDump, surveyRows, surveyVerified } from './survey-archive.ts';

/** Connections that restore an archive in the custom format. */
const JOBS = 2;
/** The schema that every new database has. */
const PUBLIC = 'public';

/**
 * Proves the archive of a database: it is read and held against its manifest, restored into a database that is
 * thrown away, dumped again, and the two dumps are compared table by table and definition by definition.
 */
export async function drillDatabase(
  context: EngineContext,
  manifest: Manifest,
  signal: AbortSignal,
  onProgress: OnDrillProgress,
): Promise<DrillFinding> {
  if (isGlobalsSource(manifest.source)) return await drillGlobals(context, manifest, signal, onProgress);
  const restoring = await context.openRestoreAdapters();
  return await new DatabaseDrill(context, restoring, manifest, signal, onProgress).run();
}

class DatabaseDrill {
  readonly #context: EngineContext;
  readonly #restoring: RestoreAdapters;
  readonly #manifest: Manifest;
  readonly #signal: AbortSignal;
  readonly #onProgress: OnDrillProgress;
  readonly #startedAt: Date;
  readonly #versions: Record<string, string>;
  /** Of the restore. */
  #remarks: readonly string[] = [];

  constructor(
    context: EngineContext,
    restoring: RestoreAdapters,
    manifest: Manifest,
    signal: AbortSignal,
    onProgress: OnDrillProgress,
  ) {
    this.#context = context;
    this.#restoring = restoring;
    this.#manifest = manifest;
    this.#signal = signal;
    this.#onProgress = onProgress;
    this.#startedAt = context.clock.now();
    this.#versions = { cofre: context.version };
  }

  async run(): Promise<DrillFinding> {
    const progress = tellingStep(this.#onProgress, 'verify', this.#manifest.size);
    const verified = await surveyVerified(this.#context, this.#manifest, this.#signal, progress);
    if (!verified.ok) return this.#finding('failed', notAsRecorded(verified.detail));
    const archive = verified.survey;
    this.#onProgress({ step: 'prepare', bytes: 0 });
    const { locale, raw_size } = this.#manifest;
    const wish = { major: this.#major(archive), locale, needs: archive.needs, raw_size };
    const opened = await this.#restoring.openScratch(wish, this.#signal);
    return await thrownAway(this.#context, opened, async (scratch) => {
      this.#versions.server = scratch.server_version;
      const fault = await this.#restore(archive, scratch);
      if (fault !== undefined) return fault;
      const recovery_ms = elapsedSince(this.#context.clock, this.#startedAt);
      return { ...(await this.#compare(archive, scratch)), recovery_ms };
    });
  }

  /** A finding when it does not restore. */
  async #restore(archive: DumpSurvey, scratch: ScratchDatabase): Promise<DrillFinding | undefined> {
    const { format, raw_size, tool_version } = this.#manifest;
    const target = this.#restoring.openDatabase(scratch, { scratch: true });
    const raw = this.#raw(tellingStep(this.#onProgress, 'restore', raw_size));
    try {
      this.#remarks = await target.restore(
        raw,
        {
          format,
          raw_size,
          toolMajor: majorOf(tool_version),
          create: false,
          clean: false,
          jobs: JOBS,
          singleTransaction: true,
          owners: hasAllRoles(scratch),
          schemas: [],
          tables: [],
          dumpSchemas: archive.schemas,
        },
        this.#signal,
      );
      return undefined;
    } catch (error) {
      const fault = toBackupError(error);
      if (!isOfArchive(fault) || scratch.lastWords?.() !== undefined) throw fault;
      // A command that only a forger writes is one wherever it is read.
      if (fault.code === 'ARCHIVE_UNSAFE') return this.#finding('failed', fault.message);
      const lacking = [...scratch.remarks, ...describeMissing(scratch)];
      // What another locale, or a server without these roles, refuses, that of the source may accept.
      const isAlike = scratch.sameLocale && scratch.sameMoney && scratch.missingRoles.length === 0;
      if (isAlike) return this.#finding('failed', fault.message);
      return this.#finding('not provable here', [...lacking, fault.message].join('; '));
    }
  }

  async #compare(archive: DumpSurvey, scratch: ScratchDatabase): Promise<DrillFinding> {
    const restored = await this.#dumpAgain(archive, scratch);
    if (restored.tool_version !== undefined) this.#versions.pg_dump = restored.tool_version;
    const otherwise = new Set(tablesWrittenOtherwise(archive, restored).map(tableKey));
    const compared = otherwise.size === 0 ? archive : await this.#surveyRows(otherwise);
    const comparison = compareSurveys(compared, restored, {
      schema: this.#writtenAlike(archive, restored),
      roles: hasAllRoles(scratch),
    });
    if (comparison.differences.length > 0) {
      const differences = describeSome(comparison.differences);
      const doubt = comparison.sameShape ? this.#doubtOfText(scratch) : undefined;
      return doubt === undefined
        ? this.#finding('failed', differences)
        : this.#finding('not provable here', `${doubt}; ${differences}`);
    }
    return this.#finding('proven', this.#describe(archive, restored, comparison, scratch));
  }

  /** The survey of a dump of what was restored, with a digest of the rows in any order. */
  async #dumpAgain({ schemas }: DumpSurvey, { url, binDir }: ScratchDatabase): Promise<DumpSurvey> {
    const { format, raw_size } = this.#manifest;
    if (format === 'tar') throw new BackupError('INTERNAL', 'an archive of a database is no tree of files');
    const source = this.#restoring.openDump({ url, binDir }, format, selectionOf(schemas));
    const capture = await source.capture(this.#signal);
    const archive = {
      format: source.format,
      source: this.#manifest.source,
      tool_version: capture.facts.tool_version,
    };
    const stream = summed(capture.stream, tellingStep(this.#onProgress, 'compare', raw_size));
    return await surveyDump(this.#context, stream, archive, () => true, this.#signal);
  }

  /** The archive once more, for the rows of the tables that came back in another order, or otherwise. */
  async #surveyRows(keys: ReadonlySet<string>): Promise<DumpSurvey> {
    const ofRows = (table: Parameters<typeof tableKey>[0]) => keys.has(tableKey(table));
    return await surveyRows(this.#context, this.#manifest, ofRows, this.#signal);
  }

  /** Whether the same major versions of server and pg_dump wrote both, so that the text is comparable. */
  #writtenAlike(archive: DumpSurvey, restored: DumpSurvey): boolean {
    const { server_version, tool_version } = this.#manifest;
    const server = majorOf(archive.server_version ?? server_version);
    const tool = majorOf(archive.tool_version ?? tool_version);
    return server === majorOf(restored.server_version) && tool === majorOf(restored.tool_version);
  }

  /** Why the same data may have been written otherwise than they are written here. */
  #doubtOfText({ sameMoney, remarks }: ScratchDatabase): string | undefined {
    if (this.#manifest.locale === undefined) {
      return 'the manifest does not record the locale of the source, as an older version of cofre or a rebuild leaves it: the archive may have been written in another time zone or encoding, in which the same data look different';
    }
    return sameMoney ? undefined : remarks.join('; ');
  }

  #describe(
    archive: DumpSurvey,
    restored: DumpSurvey,
    { reordered, rewritten }: SurveyComparison,
    scratch: ScratchDatabase,
  ): string {
    const { tables } = archive.contents;
    const rows = tables.reduce((sum, table) => sum + table.rows, 0);
    const schema = this.#writtenAlike(archive, restored)
      ? 'the schema'
      : 'sequences and large objects; the schema was restored, and not compared across versions';
    return [
      `${plural(tables.length, 'table')} with ${plural(rows, 'row')} and ${schema}, equal after restore and dump`,
      ...(reordered > 0 ? [`rows in another order in ${plural(reordered, 'table')}`] : []),
      ...(rewritten > 0
        ? [`${plural(rewritten, 'definition')} written with other casts or parentheses`]
        : []),
      ...describeMissing(scratch),
      // A locale that is missing is told of by both.
      ...new Set([...scratch.remarks, ...this.#remarks]),
    ].join('; ');
  }

  #major(archive: DumpSurvey): number {
    return majorOf(archive.server_version ?? this.#manifest.server_version);
  }

  #raw(onBytes?: (bytes: number) => void): ByteStream {
    return rawBytes(this.#context, this.#manifest, this.#signal, onBytes);
  }

  #finding(verdict: DrillFinding['verdict'], detail: string): DrillFinding {
    return { verdict, detail, versions: this.#versions };
  }
}

/** What the first dump took of its database, as far as it matters when all there is was restored from it. */
function selectionOf({ made, used }: DumpSchemas): DumpSelection {
  // Only when it is chosen does pg_dump write the definition of `public`, and of what is in no schema it writes nothing.
  if (made.includes(PUBLIC)) return { schemas: made };
  // Chosen tables come without their schemas.
  return used.some((name) => name !== PUBLIC) ? { tablesOf: used } : {};
}

/** Whether owners and privileges can be restored as they are in the archive. */
function hasAllRoles({ missingRoles, foreignRoles = [] }: ScratchDatabase): boolean {
  return missingRoles.length === 0 && foreignRoles.length === 0;
}

function describeMissing(scratch: ScratchDatabase): string[] {
  if (hasAllRoles(scratch)) return [];
  const { missingRoles, foreignRoles = [] } = scratch;
  const lacks = [
    ...(missingRoles.length === 0 ? [] : [`no role ${describeSome(missingRoles)} on the scratch server`]),
    ...(foreignRoles.length === 0
      ? []
      : [`the role that drills there may not act as ${describeSome(foreignRoles)}`]),
  ];
  return [`owners and privileges left aside: ${printable(lacks.join(', '))}`];
}
