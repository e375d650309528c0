import { isGlobalsSource } from '../domain/archive-name.ts';
import type { DumpNeeds, DumpSchemas, DumpSurvey } from '../domain/dump-survey.ts';
import { BackupError, toBackupError } from '../domain/errors.ts';
import type { Manifest, TableContents } from '../domain/manifest.ts';
import type { DatabaseTarget, DatabaseTargetState } from '../domain/restore-ports.ts';
import { describeSome, plural } from '../domain/plural.ts';
import { printable, tableLabel } from '../domain/printable.ts';
import { majorOf } from '../domain/server-version.ts';
import { formatSize } from '../domain/size.ts';
import { rawBytes } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';
import { chosenParts, chosenTables } from './chosen-parts.ts';
import { elapsedSince } from './elapsed.ts';
import { globalsFor } from './globals.ts';
import type { DatabaseRestoreFlags, RestoreReport, RestoreRequest } from './restore-request.ts';
import { beforeTouching, notVerified, refuseUnfit } from './restore-refusals.ts';
import { surveyVerified } from './survey-archive.ts';

/** Restores the archive of a database, or of roles and tablespaces. */
export async function restoreDatabase(
  context: EngineContext,
  manifest: Manifest,
  request: RestoreRequest,
  signal: AbortSignal,
): Promise<RestoreReport> {
  const restoring = await context.openRestoreAdapters();
  const target = restoring.openDatabase({ url: request.to }, { scratch: false });
  return await new DatabaseRestore(context, target, manifest, request, signal).run();
}

interface Prepared {
  state: DatabaseTargetState;
  globals: Manifest | undefined;
  needs: DumpNeeds;
  schemas: DumpSchemas;
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

  constructor(
    context: EngineContext,
    target: DatabaseTarget,
    manifest: Manifest,
    request: RestoreRequest,
    signal: AbortSignal,
  ) {
    this.#context = context;
    this.#manifest = manifest;
    this.#request = request;
    this.#flags = request.database;
    this.#signal = signal;
    this.#target = target;
    this.#startedAt = context.clock.now();
  }

  async run(): Promise<RestoreReport> {
    const { state, globals, needs, schemas } = await beforeTouching(this.#signal, () => this.#prepare());
    if (this.#request.dryRun) return this.#planned(state, globals);
    const made = globals === undefined ? [] : await this.#applyGlobals(globals);
    if (globals === this.#manifest) return this.#report(state);
    try {
      if (globals !== undefined) await this.#refuseLacking(needs);
      await this.#restore(state, schemas);
    } catch (error) {
      throw withMade(error, made);
    }
    return await this.#compared(state);
  }

  /** All that can be said before anything is changed. Of an archive of roles, these are the archive itself. */
  async #prepare(): Promise<Prepared> {
    const state = await this.#target.look(this.#signal);
    const isGlobals = isGlobalsSource(this.#manifest.source);
    const globals = isGlobals ? this.#manifest : await this.#chooseGlobals();
    if (!isGlobals) refuseUnfit(this.#manifest, state, this.#flags);
    if (!isGlobals) await this.#refuseTaken(state);
    const { needs, schemas } = await this.#verified(this.#manifest);
    if (isGlobals) return { state, globals, needs, schemas };
    if (globals !== undefined) await this.#verified(globals);
    // What the archive of roles cannot make is looked for before it makes anything.
    await this.#refuseLacking(globals === undefined ? needs : { ...needs, roles: [], tablespaces: [] });
    return { state, globals, needs, schemas };
  }

  /** Throws TARGET_REFUSED naming the chosen tables that are in the database already. */
  async #refuseTaken(state: DatabaseTargetState): Promise<void> {
    if (!addsTo(state, this.#flags)) return;
    const taken = await this.#target.existing(
      chosenTables(this.#manifest.contents, this.#flags),
      this.#signal,
    );
    if (taken.length === 0) return;
    throw new BackupError(
      'TARGET_REFUSED',
      `the database ${state.description} has already: ${describeSome(taken.map(tableLabel))}`,
      {
        path: state.description,
        hint: 'Rename or drop what is there, or restore into another database (`--create` makes one) and take from it what you need.',
      },
    );
  }

  async #chooseGlobals(): Promise<Manifest | undefined> {
    const { globals } = this.#flags;
    if (globals === undefined) return undefined;
    return await globalsFor(this.#context, this.#manifest, globals);
  }

  #planned(state: DatabaseTargetState, globals: Manifest | undefined): RestoreReport {
    const { filename, format } = this.#manifest;
    const { create, clean, jobs, singleTransaction, owners } = this.#flags;
    if (globals !== undefined) this.#steps.push(globalsStep(globals));
    if (globals === this.#manifest) return this.#report(state);
    if (create && !state.exists) this.#steps.push(`would create the database ${state.description}`);
    const adds = addsTo(state, this.#flags);
    const how =
      format === 'plain' || adds
        ? `through psql${singleTransaction ? ', in one transaction' : ''}`
        : `through pg_restore with ${jobs} jobs`;
    const part = chosenParts(this.#flags);
    const what = part === '' ? filename : `${part} of ${filename}`;
    const aside = owners ? '' : ', without owners and privileges';
    const beside = clean && state.exists ? 'a new database beside ' : '';
    const into = `into ${beside}${state.description}${adds ? ', beside what it holds,' : ''}`;
    this.#steps.push(`would restore ${what} ${into} ${how}${aside}`);
    if (clean && state.exists) {
      this.#steps.push(
        `would put it in the place of ${state.description}, which holds ${some(state.occupants)}`,
      );
    }
    this.#steps.push('would count the rows of each table and compare them with the manifest');
    return this.#report(state);
  }

  /** Throws ARCHIVE_CORRUPT unless the stored bytes are what the manifest records. */
  async #verified(manifest: Manifest): Promise<DumpSurvey> {
    const { filename, size } = manifest;
    const onBytes = (bytes: number) => this.#progress('verify', bytes, size);
    const verified = await surveyVerified(this.#context, manifest, this.#signal, onBytes);
    if (!verified.ok) throw notVerified(filename, verified.detail);
    this.#steps.push(`verified ${filename} (${formatSize(size)}): ${verified.detail}`);
    return verified.survey;
  }

  /** Returns what was made. */
  async #applyGlobals(manifest: Manifest): Promise<string[]> {
    const raw = rawBytes(this.#context, manifest, this.#signal, (bytes) =>
      this.#progress('globals', bytes, manifest.raw_size),
    );
    const { made, existing } = await this.#target.applyGlobals(raw, this.#signal);
    const makes = made.length === 0 ? 'made none' : `made ${made.length} (${printable(describeSome(made))})`;
    const stays = existing.length === 1 ? 'it was' : 'they were';
    const kept =
      existing.length === 0
        ? ''
        : `, left ${existing.length} as ${stays} (${printable(describeSome(existing))})`;
    this.#steps.push(`roles and tablespaces of ${manifest.filename}: ${makes}${kept}`);
    return made;
  }

  async #refuseLacking(needs: DumpNeeds): Promise<void> {
    const { roles, extensions, tablespaces } = await this.#target.lacking(needs, this.#signal);
    const lacks = [
      ...(this.#flags.owners && roles.length > 0 ? [`the roles ${named(roles)}`] : []),
      ...(extensions.length > 0 ? [`the extensions ${named(extensions)}`] : []),
      ...(tablespaces.length > 0 ? [`the tablespaces ${named(tablespaces)}`] : []),
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

  async #restore(state: DatabaseTargetState, dumpSchemas: DumpSchemas): Promise<void> {
    const { format, raw_size, tool_version, locale, filename } = this.#manifest;
    const { create, clean, jobs, singleTransaction, owners, schemas, tables } = this.#flags;
    const raw = rawBytes(this.#context, this.#manifest, this.#signal, (bytes) =>
      this.#progress('restore', bytes, raw_size),
    );
    const toolMajor = majorOf(tool_version);
    const options = { format, raw_size, toolMajor, create, clean, locale, jobs, singleTransaction, owners };
    const remarks = await this.#target.restore(
      raw,
      { ...options, schemas, tables, dumpSchemas },
      this.#signal,
    );
    const part = chosenParts(this.#flags);
    const what = part === '' ? filename : `${part} of ${filename}`;
    this.#steps.push(`restored ${what} into ${state.description}`, ...remarks);
  }

  /** Holds the rows that stand there now against those of the manifest. */
  async #compared(state: DatabaseTargetState): Promise<RestoreReport> {
    const wanted = chosenTables(this.#manifest.contents, this.#flags);
    this.#progress('compare', 0);
    const counts = await this.#count(wanted, state);
    const differences = wanted.flatMap((table, index) => {
      const { rows } = table;
      const found = counts[index];
      if (found === rows) return [];
      const there = found === undefined ? 'the table is not there' : `${found} are there`;
      return [`${tableLabel(table)}: ${plural(rows, 'row')} in the archive, ${there}`];
    });
    const rows = counts.reduce<number>((sum, count) => sum + (count ?? 0), 0);
    const tables = counts.filter((count) => count !== undefined).length;
    this.#steps.push(`counted ${plural(rows, 'row')} in ${plural(tables, 'table')}`);
    return this.#report(state, { restored: { tables, rows }, compared: true, differences });
  }

  /** That it is restored must not be lost with what keeps it from being counted. */
  async #count(tables: TableContents[], state: DatabaseTargetState): Promise<(number | undefined)[]> {
    try {
      return await this.#target.countRows(tables, this.#signal);
    } catch (error) {
      const { code, message, hint, path } = toBackupError(this.#signal.aborted ? this.#signal.reason : error);
      throw new BackupError(
        code,
        `${this.#manifest.filename} was restored into ${state.description}, but not compared with the manifest: ${message}`,
        { hint, path, cause: error },
      );
    }
  }

  #report({ description }: DatabaseTargetState, rest: Partial<RestoreReport> = {}): RestoreReport {
    return {
      filename: this.#manifest.filename,
      target: description,
      dry_run: this.#request.dryRun,
      steps: this.#steps,
      compared: false,
      differences: [],
      duration_ms: elapsedSince(this.#context.clock, this.#startedAt),
      ...rest,
    };
  }

  #progress(step: 'verify' | 'globals' | 'restore' | 'compare', bytes: number, total_bytes?: number): void {
    this.#request.onProgress?.({ step, bytes, ...(total_bytes === undefined ? {} : { total_bytes }) });
  }
}

/** Whether a part of the archive goes beside what the database holds. */
function addsTo(
  { occupants }: DatabaseTargetState,
  { clean, schemas, tables }: DatabaseRestoreFlags,
): boolean {
  return occupants.length > 0 && !clean && (schemas.length > 0 || tables.length > 0);
}

/** Roles and tablespaces are the server's: no failure of the restore takes them back. */
function withMade(thrown: unknown, made: readonly string[]): unknown {
  if (made.length === 0 || !(thrown instanceof BackupError)) return thrown;
  const { code, message, hint, path } = thrown;
  return new BackupError(
    code,
    `${message}; the roles and tablespaces that were made before stay: ${printable(describeSome(made))}`,
    { hint, path, cause: thrown },
  );
}

function named(names: readonly string[]): string {
  return printable(names.join(', '));
}

function globalsStep({ filename }: Manifest): string {
  return `would make the roles and tablespaces of ${filename} that are not there`;
}

function some(occupants: readonly string[]): string {
  return occupants.length === 0 ? 'nothing' : describeSome(occupants);
}
