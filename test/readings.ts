/**
 * Readings of one machine, as a sensor sends them: unsorted in places, some timestamps twice. A file of real ones where
 * there is one, otherwise made up with the same faults.
 */
import { readFileSync } from 'node:fs';

export interface Reading {
  readonly tsMs: number;
  readonly value: number;
}

/** What SQL must answer: one row per timestamp, the last reading of each. */
export interface Expected {
  readonly count: number;
  readonly mean: number;
  readonly max: number;
}

/**
 * `VARVE_TEST_NAB` names machine_temperature_system_failure.csv of the Numenta Anomaly Benchmark: `timestamp,value`
 * lines, UTC, 22,695 of them, 12 timestamps twice.
 */
export function nabReadings(): Reading[] | undefined {
  const path = process.env.VARVE_TEST_NAB;
  if (path === undefined || path === '') return undefined;
  const lines = readFileSync(path, 'utf8').trim().split('\n').slice(1);
  return lines.map((line) => {
    const [timestamp = '', value = ''] = line.trim().split(',');
    return { tsMs: Date.parse(`${timestamp.replace(' ', 'T')}Z`), value: Number(value) };
  });
}

export function skipWithoutNab(): string | false {
  return (
    nabReadings() === undefined && 'needs NAB: set VARVE_TEST_NAB to the path of its machine temperature CSV'
  );
}

/** What `nabReadings` must come to. */
export const nabExpected: Expected = { count: 22_683, mean: 85.92215856573, max: 108.51054280000001 };

export interface MadeUpOptions {
  /**
   * Whether the readings of one timestamp are alike. The demo's broker does not keep the order of what it sends again to a
   * client that comes back (Mosquitto does), so which of two is the last one is open there.
   */
  readonly repeatsAreAlike?: boolean;
}

/** A walk over `count` five-minute steps; every 97th reading repeats a timestamp, every 31st comes too early. */
export function madeUpReadings(count: number, { repeatsAreAlike = false }: MadeUpOptions = {}): Reading[] {
  return Array.from({ length: count }, (_, index) => {
    const step = index % 97 === 96 ? index - 3 : index % 31 === 30 ? index + 40 : index;
    const seed = repeatsAreAlike ? step : index;
    const value = 70 + Math.sin(seed / 50) * 8 + ((seed * 7_919) % 101) / 100;
    return { tsMs: 1_386_018_900_000 + step * 300_000, value: Math.round(value * 1e8) / 1e8 };
  });
}

export function expectedOf(readings: readonly Reading[]): Expected {
  const values = [...new Map(readings.map(({ tsMs, value }) => [tsMs, value])).values()];
  return {
    count: values.length,
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    max: Math.max(...values),
  };
}
