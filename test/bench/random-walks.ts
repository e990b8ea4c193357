/**
 * The data set that sizes are measured on: sensors whose values walk at random in hundredths, made by DuckDB from a seed.
 *
 * 200 devices at 20 sites, every 10 s, five fields; each step is one of 13, 25, 11, 17, or 3 values, equally likely, and the
 * walks are reflected at the bounds of their fields. That is 3.49 bits a value: 0.44 bytes are the least that any coding
 * without loss can take.
 */
import type { TableColumns } from '@varve/common/contract/columns.js';
import type { Session } from '@varve/tsdb/delta/duckdb.js';

const seed = 42;
export const devices = 200;
export const everySeconds = 10;
export const rowsPerDay = devices * (86_400 / everySeconds);
/** The start, a midnight, UTC. */
export const firstDayMs = Date.parse('2026-09-01T00:00:00Z');

/** Of steps and bounds in hundredths. */
const walks = [
  { name: 'temperature', step: 6, min: -1_000, max: 4_500 },
  { name: 'humidity', step: 12, min: 2_000, max: 9_500 },
  { name: 'pressure', step: 5, min: 95_000, max: 105_000 },
  { name: 'power', step: 8, min: 0, max: 20_000 },
  { name: 'voltage', step: 1, min: 22_000, max: 24_500 },
] as const;

export const valuesPerRow = walks.length;

export function walkColumns(decimals: number | undefined): TableColumns {
  const fields = walks.map(({ name }) => ({
    name,
    type: 'double' as const,
    ...(decimals !== undefined && { decimals }),
  }));
  return {
    tags: [{ name: 'device' }, { name: 'site' }],
    fields: fields.sort((left, right) => (left.name < right.name ? -1 : 1)),
  };
}

/** Makes table `walk`, or another: time, device, site, and the fields as doubles. Days may be a part of one. */
export async function createWalks(
  session: Session,
  days: number,
  { table = 'walk', deviceCount = devices }: { table?: string; deviceCount?: number } = {},
): Promise<void> {
  const ticks = Math.round((days * 86_400) / everySeconds);
  const sums = walks.map(({ step, min, max }, index) => {
    const chance = `hash(device * 1000003 + tick * 31 + ${index} * 7919 + ${seed})`;
    const start = `${(min + max) / 2} + (hash(device * 77 + ${index}) % 1000)::INTEGER`;
    return `sum((${chance} % ${2 * step + 1})::INTEGER - ${step}) OVER series + ${start} AS walk_${index}`;
  });
  const values = walks.map(({ name, min, max }, index) => {
    const [span, place] = [max - min, `(walk_${index} - (${min}))`];
    const folded = `abs((${place} % ${2 * span} + ${2 * span}) % ${2 * span} - ${span})`;
    return `(${max} - ${folded}) / 100.0 AS ${name}`;
  });
  await session.run(`
    CREATE TABLE ${table} AS
    SELECT
      make_timestamptz((${firstDayMs / 1_000} + tick * ${everySeconds})::BIGINT * 1000000) AS time,
      'device-' || lpad(device::VARCHAR, 3, '0') AS device,
      'site-' || lpad((device % 20)::VARCHAR, 2, '0') AS site,
      ${values.join(', ')}
    FROM (
      SELECT device, tick, ${sums.join(', ')}
      FROM range(${deviceCount}) AS d(device), range(${ticks}) AS t(tick)
      WINDOW series AS (PARTITION BY device ORDER BY tick)
    )`);
}
