/**
 * For tests: random statements about two tables, in which conditions stand in all places from which they might be taken.
 *
 * `a` (time, device, x, day) and `b` (time, device, y, day) have rows of four days, those of devices `dev-1` and `dev-2` in the first
 * half of each day, those of `dev-3` in the second.
 */
import fc from 'fast-check';

export const dayUs = 86_400_000_000;
export const firstDayUs = Date.parse('2026-01-01T00:00:00Z') * 1_000;

const instants = fc
  .tuple(fc.integer({ min: -2, max: 10 }), fc.constantFrom(0, 1, 3_600, -1))
  .map(([half, seconds]) => new Date((firstDayUs + half * (dayUs / 2)) / 1e3 + seconds * 1e3).toISOString());
const times = instants.chain((text) =>
  fc.constantFrom(
    `'${text}'`,
    `timestamptz '${text}'`,
    `'${text}'::timestamp`,
    `timestamptz '${text}' - interval 1 hour`,
    `date '${text.slice(0, 10)}'`,
    `to_timestamp(${Date.parse(text) / 1_000})`,
    `epoch_ms(${Date.parse(text)})`,
    `timestamptz '${text}' - interval 1 month`,
  ),
);
const dates = instants.map((text) => `'${text.slice(0, 10)}'`);
const devices = fc.constantFrom("'dev-1'", "'dev-2'", "'dev-3'", "'dev-9'", "'dev'", "''", 'null');
const comparators = fc.constantFrom('=', '<>', '<', '<=', '>', '>=', 'is distinct from');
const timeForms = fc.constantFrom(
  'T',
  'T',
  'T',
  'T::date',
  "date_trunc('day', T)",
  "time_bucket('6 hours', T)",
);

const atoms = (prefix: string): fc.Arbitrary<string> =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .tuple(timeForms, comparators, times)
        .map(([form, op, value]) => `${form.replace('T', `${prefix}time`)} ${op} ${value}`),
    },
    fc.tuple(times, times).map(([from, to]) => `${prefix}time between ${from} and ${to}`),
    fc.tuple(comparators, dates).map(([op, value]) => `${prefix}day ${op} ${value}`),
    fc.tuple(comparators, devices).map(([op, value]) => `${prefix}device ${op} ${value}`),
    fc.tuple(devices, comparators).map(([value, op]) => `${value} ${op} ${prefix}device`),
    fc
      .tuple(fc.constantFrom('in', 'not in'), fc.array(devices, { minLength: 1, maxLength: 3 }))
      .map(([op, values]) => `${prefix}device ${op} (${values.join(', ')})`),
    fc.constantFrom(
      `${prefix}device is null`,
      `coalesce(${prefix}device, 'dev-3') = 'dev-3'`,
      `${prefix}device like 'dev-%'`,
      'true',
    ),
  );
export const conditions = (prefix: string): fc.Arbitrary<string> =>
  fc.letrec<{ tree: string }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      { weight: 3, arbitrary: atoms(prefix) },
      fc
        .tuple(tie('tree'), fc.constantFrom('and', 'or'), tie('tree'))
        .map(([l, op, r]) => `(${l} ${op} ${r})`),
      tie('tree').map((part) => `not (${part})`),
    ),
  })).tree;

const tables = fc.constantFrom('a', 'b');
const joinedSources: fc.Arbitrary<string> = fc.oneof(
  tables,
  fc.tuple(tables, conditions('')).map(([t, c]) => `(select * from ${t} where ${c})`),
  fc.tuple(tables, conditions('')).map(([t, c]) => `(select time, day, device from ${t} where ${c})`),
  fc
    .tuple(tables, conditions(''))
    .map(
      ([t, c]) => `(select time, day, any_value(device) as device from ${t} where ${c} group by time, day)`,
    ),
  tables.map((t) => `(select max(time) as time, max(day) as day, device from ${t} group by device)`),
  tables.map((t) => `(select time - interval 1 day as time, day, device from ${t})`),
  tables.map((t) => `(select *, row_number() over (order by time, device) as n from ${t} qualify n < 30)`),
  tables.map((t) => `(select distinct time, day, device from ${t})`),
  fc.constant('(select time, day, device from a union all select time, day, device from b)'),
  fc.constant('(select time, day, device from a except select time, day, device from b)'),
  fc.constant('(select day, device, time from a where exists (select 1 from b where b.time = a.time))'),
);
// DuckDB 1.5.6 pushes what a join knows of its other side below a LIMIT on tables in memory: not among joins.
const sources: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: joinedSources },
  tables.map((t) => `(select * from ${t} order by time limit 20)`),
);
const joins = fc.constantFrom(
  'join',
  'left join',
  'right join',
  'full join',
  'semi join',
  'anti join',
  'asof join',
  'asof left join',
);
export const statements: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(sources, conditions('')).map(([s, c]) => `select time, day, device from ${s} q where ${c}`),
  fc
    .tuple(sources, conditions(''), conditions(''))
    .map(
      ([s, c, d]) =>
        `with c as (from ${s} p where ${c}), e as materialized (select * from c) select time, day, device from e where ${d}`,
    ),
  fc
    .tuple(joinedSources, joins, joinedSources, conditions('l.'), conditions('l.'))
    .map(([l, join, r, on, where]) => {
      const isAsof = join.startsWith('asof');
      const match = isAsof ? 'l.device = r.device and l.time >= r.time' : `l.time = r.time and ${on}`;
      return `select l.time, l.day, l.device from ${l} l ${join} ${r} r on ${match} where ${where}`;
    }),
  fc
    .tuple(
      joinedSources,
      fc.constantFrom('join', 'left join', 'right join', 'full join', 'asof join', 'asof left join'),
      joinedSources,
      conditions('r.'),
      conditions('r.'),
    )
    .map(([l, join, r, on, where]) => {
      const match = join.startsWith('asof')
        ? 'l.device = r.device and l.time >= r.time'
        : `l.time = r.time and ${on}`;
      return `select l.time, r.time, r.day, r.device from ${l} l ${join} ${r} r on ${match} where ${where}`;
    }),
  fc
    .tuple(tables, conditions(''))
    .map(
      ([t, c]) =>
        `select time, device from ${t} join ${t} o using (time, device) where ${c.replaceAll('day', 'o.day')}`,
    ),
  fc
    .tuple(tables, conditions(''), conditions('a.'))
    .map(
      ([t, c, d]) =>
        `select time, day, device from a where time in (select time from ${t} where ${c}) and ${d}`,
    ),
);
