/**
 * `varve-tsdb doctor`: everything of the store looked at, and what is safe mended. Works without the server and beside it:
 * it only reads, unless told to repair.
 */
import type { TsdbConfig } from '../config.js';
import { formatTableName } from '../delta/table-metadata.js';
import { withLake, type Lake } from '../commands/lake.js';
import { checkInbox, checkQuarantine } from './check-inbox.js';
import { checkLog } from './check-log.js';
import { checkObjects, checkStatistics } from './check-objects.js';
import type { Finding } from './finding.js';

export interface DoctorOptions {
  readonly repair: boolean;
  readonly json: boolean;
  /** Files of each table that are read. */
  readonly sample: number;
}

export interface DoctorReport {
  readonly text: string;
  /** False when something was found that is not mended. */
  readonly isHealthy: boolean;
}

export async function runDoctor(
  config: Pick<TsdbConfig, 'store'>,
  options: DoctorOptions,
): Promise<DoctorReport> {
  return await withLake(config, async (lake) => {
    await lake.catalog.refresh();
    const findings = await examine(lake, options);
    const repaired = new Set<Finding>();
    if (options.repair)
      for (const finding of findings)
        if (finding.repair) {
          await finding.repair();
          repaired.add(finding);
        }
    const tables = lake.catalog.current().length + lake.catalog.problems().length;
    const isHealthy = findings.length === repaired.size;
    return {
      text: options.json ? json(findings, repaired) : describe(findings, repaired, tables),
      isHealthy,
    };
  });
}

async function examine(lake: Lake, { sample }: DoctorOptions): Promise<Finding[]> {
  const { store, catalog, clock } = lake;
  const nowMs = clock.nowMs();
  const findings: Finding[] = [];
  for (const { name, failure } of catalog.problems()) {
    const table = formatTableName(name);
    findings.push({ kind: 'log', table, text: failure.message, remedy: failure.hint ?? 'see below' });
    findings.push(...(await checkLog(store, catalog.checkpointFiles, name, table)));
  }
  for (const state of catalog.current()) {
    const table = formatTableName(state.name);
    findings.push(...(await checkLog(store, catalog.checkpointFiles, state.name, table)));
    findings.push(...(await checkObjects(store, state, table, nowMs)));
    findings.push(...(await checkStatistics(store, catalog.checkpointFiles, state, table, sample)));
  }
  findings.push(...(await checkInbox(store, catalog, nowMs)));
  findings.push(...(await checkQuarantine(store)));
  return findings;
}

function describe(findings: readonly Finding[], repaired: ReadonlySet<Finding>, tables: number): string {
  if (findings.length === 0) return `${tables} tables, nothing wrong\n`;
  const lines = findings.map((finding) => {
    const { kind, table, text, remedy } = finding;
    const where = table === undefined ? kind : `${kind}, ${table}`;
    return `${where}: ${text}\n  ${repaired.has(finding) ? 'mended' : `→ ${remedy}`}\n`;
  });
  const left = findings.length - repaired.size;
  const mended = repaired.size > 0 ? `, ${repaired.size} mended` : '';
  return `${lines.join('')}${tables} tables, ${left} problems${mended}\n`;
}

function json(findings: readonly Finding[], repaired: ReadonlySet<Finding>): string {
  const problems = findings.map((finding) => {
    const { kind, table, text, remedy, repair } = finding;
    const repairs = { repairable: repair !== undefined, repaired: repaired.has(finding) };
    return { kind, table: table ?? null, text, remedy, ...repairs };
  });
  return `${JSON.stringify({ problems })}\n`;
}
