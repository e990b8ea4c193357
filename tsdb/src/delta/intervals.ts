/**
 * Durations in a table's configuration, as Delta writes them: `interval 7 days`.
 */
import type { MetaData } from './actions.js';

const unitsMs: Readonly<Record<string, number>> = {
  millisecond: 1,
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
};

/** Undefined where it is no such text: then the default counts. */
export function parseInterval(text: string): number | undefined {
  const [, count, unit = ''] = /^(?:interval\s+)?(\d{1,9})\s+([a-z]+?)s?$/i.exec(text.trim()) ?? [];
  const unitMs = unitsMs[unit.toLowerCase()];
  return count === undefined || unitMs === undefined ? undefined : Number(count) * unitMs;
}

function intervalOf({ configuration }: MetaData, name: string, defaultMs: number): number {
  return parseInterval(configuration[name] ?? '') ?? defaultMs;
}

/** How long versions stay readable. Delta's default is 30 days. */
export function logRetentionMs(metaData: MetaData): number {
  return intervalOf(metaData, 'delta.logRetentionDuration', 30 * 86_400_000);
}

/** How long files stay that were removed. Delta's default is a week. */
export function deletedFileRetentionMs(metaData: MetaData): number {
  return intervalOf(metaData, 'delta.deletedFileRetentionDuration', 7 * 86_400_000);
}
