/**
 * The lake that `lake-queries` asks: `walk` (random walks), `fleet` (the same of 10,000 series, five minutes), and TSBS's trucks
 * in `readings` and `diagnostics`, all from seeds. Shipments in order of time, as agents send them, go through our own
 * ingest and compaction.
 */
import type { Session } from '@varve/tsdb/delta/duckdb.js';
import { drain, ship, type Lake } from '../bench-lake.js';
import { createWalks, devices, everySeconds, firstDayMs } from '../random-walks.js';
import { walkFields } from './questions.js';

export interface LakeSize {
  readonly days: number;
  /** Of the number of series. */
  readonly scale: number;
  readonly decimals: number | undefined;
}

interface Table {
  readonly name: string;
  readonly tags: readonly string[];
  readonly fields: readonly string[];
  readonly seriesCount: number;
  readonly days: number;
  readonly decimals: number | undefined;
}

const truckTags = ['name', 'fleet', 'driver', 'model', 'device_version'];
const capacities = ['load_capacity', 'fuel_capacity', 'nominal_fuel_consumption'];
export const trucks = 50;
const rowsPerShipment = 50_000;

export function tablesOf({ days, scale, decimals }: LakeSize): Table[] {
  const walk = { tags: ['device', 'site'], fields: walkFields, decimals };
  const truck = { tags: truckTags, days, seriesCount: Math.ceil(trucks * scale), decimals: undefined };
  return [
    { ...walk, name: 'walk', days, seriesCount: Math.max(50, Math.ceil(devices * scale)) },
    { ...walk, name: 'fleet', days: 1 / 288, seriesCount: 10_000 },
    {
      ...truck,
      name: 'readings',
      fields: [
        'latitude',
        'longitude',
        'elevation',
        'velocity',
        'heading',
        'grade',
        'fuel_consumption',
        ...capacities,
      ],
    },
    { ...truck, name: 'diagnostics', fields: ['fuel_state', 'current_load', 'status', ...capacities] },
  ];
}

/** Makes the rows in DuckDB's tables of the same names, and the lake of them. */
export async function makeLake(lake: Lake, size: LakeSize, note: (text: string) => void): Promise<void> {
  for (const table of tablesOf(size)) {
    const { name, seriesCount, days } = table;
    note(`making ${name}: ${seriesCount} series`);
    await lake.duckDb.withSession(async (session) => {
      if ('readings diagnostics'.includes(name)) await createTrucks(session, table);
      else await createWalks(session, days, { table: name, deviceCount: seriesCount });
      await session.run(`CREATE OR REPLACE TABLE ${name} AS SELECT * FROM ${name} ORDER BY time`);
      await shipAll(lake, session, table);
    });
    note(`taking in ${name}`);
    await drain(lake.ingester);
  }
  note('compacting');
  await lake.catalog.refresh();
  await lake.upkeep.compactor.runOnce();
}

async function shipAll(lake: Lake, session: Session, table: Table): Promise<void> {
  const { name, tags, fields, seriesCount, days, decimals } = table;
  const ticks = Math.round((days * 86_400) / everySeconds);
  const ticksPerShipment = Math.max(1, Math.floor(rowsPerShipment / seriesCount));
  const startOf = (tick: number) =>
    `make_timestamptz(${(firstDayMs + tick * everySeconds * 1_000) * 1_000}::BIGINT)`;
  for (let seq = 1, tick = 0; tick < ticks; seq++, tick += ticksPerShipment) {
    const end = Math.min(tick + ticksPerShipment, ticks);
    await ship(lake, session, {
      ...{ agent: 'agent-0', epoch: 'e1', lane: 'live', database: 'main', table: name, seq },
      ...{ tags, fields, decimals },
      relation: `(SELECT * FROM ${name} WHERE time >= ${startOf(tick)} AND time < ${startOf(end)})`,
      rows: (end - tick) * seriesCount,
    });
  }
}

/** A truck drives or rests for quarters of an hour, carries a load for three hours, and is broken for twenty minutes now and then. */
async function createTrucks(session: Session, { name, days, seriesCount }: Table): Promise<void> {
  const chance = (salt: number, every = 1) =>
    `(hash(truck * 1000003 + (tick // ${every}) * 31 + ${salt} * 7919) % 1000)::INTEGER`;
  const own = (salt: number, count: number) => `(hash(truck * 77 + ${salt}) % ${count})::INTEGER`;
  const driving = `(${chance(1, 90)} < ${own(9, 400)} + 600)`;
  const columns =
    name === 'readings'
      ? `round(48 + ${own(2, 1000)} / 100.0 + sin(tick / 900.0), 5) AS latitude,
         round(8 + ${own(3, 1000)} / 100.0 + cos(tick / 900.0), 5) AS longitude,
         round(${own(4, 500)} + 50 * sin(tick / 400.0)) AS elevation,
         CASE WHEN ${driving} THEN 20 + ${chance(5)} / 20.0 ELSE 0 END AS velocity,
         (${chance(6, 6)} * 360 // 1000)::DOUBLE AS heading, (${chance(7, 30)} // 10)::DOUBLE AS grade,
         CASE WHEN ${driving} THEN 10 + ${chance(8)} / 50.0 ELSE 0 END AS fuel_consumption`
      : `round(1 - ((tick + ${own(2, 4000)}) % 4000) / 4000.0, 3) AS fuel_state,
         round(${chance(3, 1080)} / 1000.0 * (1500 + 1000 * ${own(10, 3)})) AS current_load,
         CASE WHEN ${chance(4, 120)} < 50 THEN 0 ELSE 1 END::DOUBLE AS status`;
  await session.run(`
    CREATE TABLE ${name} AS SELECT
      make_timestamptz((${firstDayMs / 1_000} + tick * ${everySeconds})::BIGINT * 1000000) AS time,
      'truck-' || lpad(truck::VARCHAR, 4, '0') AS name,
      ['East', 'North', 'South', 'West'][1 + truck % 4] AS fleet,
      ['Albert', 'Andy', 'Derek', 'Rodney', 'Seth', 'Trish'][1 + ${own(11, 6)}] AS driver,
      ['F-150', 'G-2000', 'H-2'][1 + ${own(10, 3)}] AS model, 'v' || (1 + ${own(12, 4)}) AS device_version,
      ${columns},
      (1500 + 1000 * ${own(10, 3)})::DOUBLE AS load_capacity, (150 + 50 * ${own(10, 3)})::DOUBLE AS fuel_capacity,
      (12 + ${own(10, 3)})::DOUBLE AS nominal_fuel_consumption
    FROM range(${seriesCount}) AS d(truck), range(${Math.round((days * 86_400) / everySeconds)}) AS t(tick)`);
}
