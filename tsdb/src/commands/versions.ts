/**
 * `varve-tsdb versions`, `restore`, `pin`, `unpin` and `vacuum`: what they do and print.
 */
import { formatTable } from '../client/format-table.js';
import type { TsdbConfig } from '../config.js';
import { writeCheckpoint } from '../delta/checkpoint-writer.js';
import { deletePin, putPin } from '../delta/pins.js';
import { restoreTable } from '../delta/restore-table.js';
import { vacuum } from '../delta/vacuum.js';
import { listVersions } from '../delta/versions.js';
import { showRestore, showVersions } from '../http/version-routes.js';
import { findTableName, withLake, type Lake } from './lake.js';

export interface VersionsOptions {
  readonly limit: number;
  readonly json: boolean;
}

export async function printVersions(
  config: TsdbConfig,
  label: string,
  { limit, json }: VersionsOptions,
): Promise<string> {
  return await withLake(config, async (lake) => {
    const page = await listVersions(lake.store, await findTableName(lake, label), { limit });
    if (json) return `${JSON.stringify(showVersions(page))}\n`;
    const table = formatTable(
      ['version', 'time', 'operation', 'by', 'pinned'],
      page.versions.map(({ version, committedMs, operation, engine, isPinned }) => [
        version,
        new Date(committedMs).toISOString(),
        operation,
        engine,
        isPinned ? 'pinned' : '',
      ]),
    );
    const others = page.pinned.length === 0 ? '' : `; pinned: ${page.pinned.join(', ')}`;
    return `${table}the oldest that can be read is ${page.oldest ?? 'none'}${others}\n`;
  });
}

export interface RestoreOptions {
  readonly version: number;
  readonly dryRun: boolean;
  readonly json: boolean;
}

export async function printRestore(
  config: TsdbConfig,
  label: string,
  { version, dryRun, json }: RestoreOptions,
): Promise<string> {
  return await withLake(config, async (lake) => {
    const name = await findTableName(lake, label);
    const report = await restoreTable(lake, name, version, { isDryRun: dryRun });
    if (json) return `${JSON.stringify({ table: label, dry_run: dryRun, ...showRestore(report) })}\n`;
    const { newVersion, filesAdded, filesRemoved, rowsBefore, rowsAfter } = report;
    const change = `${rowsBefore} rows become ${rowsAfter}: ${filesAdded} files come back, ${filesRemoved} go`;
    if (dryRun) return `${change}; nothing was done\n`;
    return newVersion === undefined
      ? `${label} is already as it was in version ${version}\n`
      : `${label} is as it was in version ${version}, by version ${newVersion}: ${change}\n`;
  });
}

/** A pin comes after the checkpoint that makes its version readable alone. */
export async function printPin(config: TsdbConfig, label: string, version: number): Promise<string> {
  return await withLake(config, async (lake) => {
    const name = await findTableName(lake, label);
    const state = await lake.catalog.snapshotAt(name, { version });
    await writeCheckpoint({ ...writing(lake), state });
    await putPin(lake.store, name, version, lake.clock.nowMs());
    return `version ${version} of ${label} stays until varve-tsdb unpin ${label} --version ${version}\n`;
  });
}

const writing = ({ store, catalog, clock }: Lake) => ({
  store,
  files: catalog.checkpointFiles,
  nowMs: clock.nowMs(),
});

export async function printUnpin(config: TsdbConfig, label: string, version: number): Promise<string> {
  return await withLake(config, async (lake) => {
    await deletePin(lake.store, await findTableName(lake, label), version);
    return `version ${version} of ${label} goes when it is older than the table's retention\n`;
  });
}

export interface VacuumCommandOptions {
  readonly olderThanMs: number | undefined;
  readonly dryRun: boolean;
  readonly force: boolean;
  readonly json: boolean;
}

export async function printVacuum(
  config: TsdbConfig,
  label: string,
  { olderThanMs, dryRun, force, json }: VacuumCommandOptions,
): Promise<string> {
  return await withLake(config, async (lake) => {
    const name = await findTableName(lake, label);
    const report = await vacuum(lake, name, { isDryRun: dryRun, olderThanMs, isShortAllowed: force });
    const { cutoffMs, listed, kept, tooYoung, deleted, deletedBytes, examples } = report;
    const cutoff = new Date(cutoffMs).toISOString();
    if (json)
      return `${JSON.stringify({
        table: label,
        dry_run: dryRun,
        cutoff,
        files_listed: listed,
        files_needed: kept,
        files_too_young: tooYoung,
        files_deleted: deleted,
        bytes_deleted: deletedBytes,
        examples,
      })}\n`;
    const verb = dryRun ? 'would be deleted' : 'deleted';
    return (
      `${deleted} files ${verb} (${(deletedBytes / 1e6).toFixed(1)} MB); ${kept} are needed, ${tooYoung} younger than ${cutoff}\n` +
      examples.map((key) => `  ${key}\n`).join('') +
      (deleted > examples.length ? `  and ${deleted - examples.length} more\n` : '')
    );
  });
}
