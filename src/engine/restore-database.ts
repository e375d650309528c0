import { isGlobalsSource } from '../domain/archive-name.ts';
import type { DumpSurvey } from '../domain/dump-survey.ts';
import { BackupError } from '../domain/errors.ts';
import { type Contents, isFilesContents, type Manifest, type TableContents } from '../domain/manifest.ts';
import type { DatabaseTarget, DatabaseTargetState } from '../domain/restore-ports.ts';
import { plural } from '../domain/plural.ts';
import { majorOf } from '../domain/server-version.ts';
import { formatSize } from '../domain/size.ts';
import { rawBytes } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';
import { describeSome } from './drill-finding.ts';
import { globalsFor } from './globals.ts';
import type { DatabaseRestoreFlags, RestoreReport, RestoreRequest } from './restore-request.ts';
import { notVerified, refuseUnfit } from './restore-refusals.ts';
import { surveyVerified } from './survey-archive.ts';

/** Restores the archive of a database, or of roles and tablespaces. */
export async function restoreDatabase(
  context: EngineContext,
  manifest: Manifest,
  request: RestoreRequest,
  signal: AbortSignal,
): Promise<RestoreReport> {
  return await new DatabaseRestore(context, manifest, request, signal).run();
}

class DatabaseRestore {
  readonly #context: EngineContext;
  readonly #manifest: Manifest;
  readonly #request: RestoreRequest;
  readonly #flags: DatabaseRestoreFlags;
  readonly #signal: AbortSignal;
  readonly #target: DatabaseTarget;
  readonly #startedAt: Date;
  readonly #steps: string[] = [];

  constructor(context: EngineContext, manifest: Manifest, request: RestoreRequest, signal: AbortSignal) {
    this.#context = context;
    this.#manifest = manifest;
    this.#request = request;
    this.#flags = request.database;
    this.#signal = signal;
    this.#target = context.restoring.openDatabase({ url: request.to }, false);
    this.#startedAt = context.clock.now();
  }

  async run(): Promise<RestoreReport> {
    const state = await this.#target.look(this.#signal);
    const globals = await this.#chooseGlobals();
    if (isGlobalsSource(this.#manifest.source)) return await this.#restoreGlobals(state);
    refuseUnfit(this.#manifest, state, this.#flags);
    if (this.#request.dryRun) return this.#planned(state, globals);
    const survey = await this.#verified(this.#manifest);
    if (globals !== undefined) await this.#applyGlobals(globals);
    await this.#refuseLacking(survey);
    await this.#restore(state);
    return await this.#compared(state);
  }

  async #chooseGlobals(): Promise<Manifest | undefined> {
    const { globals } = this.#flags;
    if (globals === undefined) return undefined;
    return await globalsFor(this.#context, this.#manifest, globals);
  }

  /** The archive of roles by itself. */
  async #restoreGlobals(state: DatabaseTargetState): Promise<RestoreReport> {
    if (this.#request.dryRun) {
      this.#steps.push(verifyStep(this.#manifest), globalsStep(this.#manifest));
    } else {
      await this.#verified(this.#manifest);
      await this.#applyGlobals(this.#manifest);
    }
    return this.#report(state, []);
  }

  #planned(state: DatabaseTargetState, globals: Manifest | undefined): RestoreReport {
    const { filename, format } = this.#manifest;
    const { create, clean, jobs, singleTransaction, owners, schemas, tables } = this.#flags;
    this.#steps.push(verifyStep(this.#manifest));
    if (globals !== undefined) this.#steps.push(verifyStep(globals), globalsStep(globals));
    if (create && !state.exists) this.#steps.push(`create the database ${state.description}`);
    const how =
      format === 'plain'
        ? `through psql${singleTransaction ? ', in one transaction' : ''}`
        : `through pg_restore with ${jobs} jobs`;
    const only = [...schemas.map((name) => `schema ${name}`), ...tables.map((name) => `table ${name}`)];
    const what = only.length === 0 ? filename : `${only.join(', ')} of ${filename}`;
    const aside = owners ? '' : ', without owners and privileges';
    const into = clean && state.exists ? 'a new database beside' : 'into';
    this.#steps.push(`restore ${what} ${into} ${state.description} ${how}${aside}`);
    if (clean && state.exists) {
      this.#steps.push(`put it in the place of ${state.description}, which holds ${some(state.occupants)}`);
    }
    this.#steps.push('count the rows of each table and compare them with the manifest');
    return this.#report(state, []);
  }

  /** Throws ARCHIVE_CORRUPT unless the stored bytes are what the manifest records. */
  async #verified(manifest: Manifest): Promise<DumpSurvey> {
    const { filename, size } = manifest;
    const onBytes = (bytes: number) => this.#progress('verify', bytes, size);
    const verified = await surveyVerified(this.#context, manifest, this.#signal, onBytes);
    if (!verified.ok) throw notVerified(filename, verified.detail);
    this.#steps.push(`verified ${filename}: ${verified.detail}`);
    return verified.survey;
  }

  async #applyGlobals(manifest: Manifest): Promise<void> {
    if (manifest !== this.#manifest) await this.#verified(manifest);
    const raw = rawBytes(this.#context, manifest, this.#signal, (bytes) =>
      this.#progress('globals', bytes, manifest.raw_size),
    );
    const { made, existing } = await this.#target.applyGlobals(raw, this.#signal);
    const makes = made.length === 0 ? 'made none' : `made ${describeSome(made)}`;
    this.#steps.push(
      `roles and tablespaces of ${manifest.filename}: ${makes}; ${existing.length} existed and stay`,
    );
  }

  async #refuseLacking({ needs }: DumpSurvey): Promise<void> {
    const { roles, extensions, tablespaces } = await this.#target.lacking(needs, this.#signal);
    const lacks = [
      ...(this.#flags.owners && roles.length > 0 ? [`the roles ${roles.join(', ')}`] : []),
      ...(extensions.length > 0 ? [`the extensions ${extensions.join(', ')}`] : []),
      ...(tablespaces.length > 0 ? [`the tablespaces ${tablespaces.join(', ')}`] : []),
    ];
    if (lacks.length === 0) return;
    const hints = [
      ...(roles.length > 0
        ? [
            'Make the roles (CREATE ROLE, or `--globals` where there is an archive of them), or leave owners and privileges out with `--no-owner`.',
          ]
        : []),
      ...(extensions.length > 0 ? ["Install the extensions' packages on the server."] : []),
      ...(tablespaces.length > 0 ? ['Make the tablespaces (CREATE TABLESPACE, or `--globals`).'] : []),
    ];
    throw new BackupError(
      'TARGET_REFUSED',
      `the server lacks what ${this.#manifest.filename} needs: ${lacks.join('; ')}; nothing was changed`,
      { path: this.#manifest.filename, hint: hints.join(' ') },
    );
  }

  async #restore(state: DatabaseTargetState): Promise<void> {
    const { format, raw_size, tool_version, locale, filename } = this.#manifest;
    const { create, clean, jobs, singleTransaction, owners, schemas, tables } = this.#flags;
    const raw = rawBytes(this.#context, this.#manifest, this.#signal, (bytes) =>
      this.#progress('restore', bytes, raw_size),
    );
    const toolMajor = majorOf(tool_version);
    const options = { format, raw_size, toolMajor, create, clean, locale, jobs, singleTransaction, owners };
    await this.#target.restore(raw, { ...options, schemas, tables }, this.#signal);
    this.#steps.push(`restored ${filename} into ${state.description}`, ...this.#target.remarks);
  }

  /** Holds the rows that stand there now against those of the manifest. */
  async #compared(state: DatabaseTargetState): Promise<RestoreReport> {
    const wanted = chosenTables(this.#manifest.contents, this.#flags);
    this.#progress('compare', 0);
    const counts = await this.#target.countRows(wanted, this.#signal);
    const differences = wanted.flatMap(({ schema, name, rows }, index) => {
      const found = counts[index];
      if (found === rows) return [];
      const there = found === undefined ? 'the table is not there' : `${found} are there`;
      return [`${schema}.${name}: ${rows} rows in the archive, ${there}`];
    });
    const rows = counts.reduce<number>((sum, count) => sum + (count ?? 0), 0);
    const tables = counts.filter((count) => count !== undefined).length;
    this.#steps.push(`counted ${plural(rows, 'row')} in ${plural(tables, 'table')}`);
    return { ...this.#report(state, differences), restored: { tables, rows } };
  }

  #report({ description }: DatabaseTargetState, differences: string[]): RestoreReport {
    const elapsed_ms = this.#context.clock.now().getTime() - this.#startedAt.getTime();
    return {
      filename: this.#manifest.filename,
      target: description,
      dry_run: this.#request.dryRun,
      steps: this.#steps,
      differences,
      duration_ms: Math.max(0, elapsed_ms),
    };
  }

  #progress(step: 'verify' | 'globals' | 'restore' | 'compare', bytes: number, total_bytes?: number): void {
    this.#request.onProgress?.({ step, bytes, ...(total_bytes === undefined ? {} : { total_bytes }) });
  }
}

/** Those that pg_restore was told to restore. */
function chosenTables(contents: Contents, { schemas, tables }: DatabaseRestoreFlags): TableContents[] {
  if (isFilesContents(contents)) return [];
  return contents.tables.filter(
    ({ schema, name }) =>
      (schemas.length === 0 || schemas.includes(schema)) && (tables.length === 0 || tables.includes(name)),
  );
}

function verifyStep({ filename, size }: Manifest): string {
  return `verify ${filename} (${formatSize(size)})`;
}

function globalsStep({ filename }: Manifest): string {
  return `make the roles and tablespaces of ${filename} that are not there`;
}

function some(occupants: readonly string[]): string {
  return occupants.length === 0 ? 'nothing' : describeSome(occupants);
}
