/** What TSBS asks of trucks (IoT), in the SQL of today: last places, states, sessions, and averages over everything. */
import type { Dialect } from './dialects.js';
import type { Question, Span } from './questions.js';

const hourMs = 3_600_000;

export function truckQuestions({ dayMs }: Span): Question[] {
  const atMs = dayMs + 9 * hourMs;
  const within = (dialect: Dialect, lengthMs: number) =>
    `time >= ${dialect.moment(atMs)} AND time < ${dialect.moment(atMs + lengthMs)}`;
  const [readings, diagnostics] = [['readings'], ['diagnostics']];
  const sessions = (lengthMs: number, buckets: number) => (dialect: Dialect) =>
    `SELECT name, driver, count(*) AS active FROM
      (SELECT name, driver, ${dialect.bucket(600)} AS t FROM readings
        WHERE fleet = 'South' AND ${within(dialect, lengthMs)} GROUP BY name, driver, t HAVING avg(velocity) > 1) s
      GROUP BY name, driver HAVING count(*) > ${buckets} ORDER BY name`;
  return [
    {
      name: 'TSBS last-loc',
      tables: readings,
      days: 'all',
      sql: (dialect) =>
        `SELECT name, driver, ${dialect.last('longitude')} AS lon, ${dialect.last('latitude')} AS lat FROM readings
          WHERE fleet = 'South' GROUP BY name, driver ORDER BY name`,
      ours: "SELECT name, driver, longitude, latitude FROM latest('readings') WHERE fleet = 'South' ORDER BY name",
    },
    {
      name: 'TSBS low-fuel',
      tables: diagnostics,
      days: 'all',
      sql: (dialect) =>
        `SELECT name, driver, ${dialect.last('fuel_state')} AS fuel FROM diagnostics WHERE fleet = 'South'
          GROUP BY name, driver HAVING ${dialect.last('fuel_state')} < 0.1 ORDER BY name`,
    },
    {
      name: 'TSBS high-load',
      tables: diagnostics,
      days: 'all',
      sql: (dialect) =>
        `SELECT name, driver, ${dialect.last('current_load')} AS load, max(load_capacity) AS capacity FROM diagnostics
          WHERE fleet = 'South' GROUP BY name, driver
          HAVING ${dialect.last('current_load')} / max(load_capacity) > 0.9 ORDER BY name`,
    },
    {
      name: 'TSBS stationary-trucks',
      tables: readings,
      days: 'one',
      sql: (dialect) =>
        `SELECT name, driver, avg(velocity) AS mean FROM readings WHERE fleet = 'West' AND ${within(dialect, 600_000)}
          GROUP BY name, driver HAVING avg(velocity) < 1 ORDER BY name`,
    },
    {
      name: 'TSBS long-driving-sessions',
      tables: readings,
      days: 'one',
      sql: sessions(4 * hourMs, 22),
    },
    {
      name: 'TSBS long-daily-sessions',
      tables: readings,
      days: 'one',
      sql: sessions(12 * hourMs, 60),
    },
    {
      name: 'TSBS avg-vs-projected-fuel',
      tables: readings,
      days: 'all',
      sql: () =>
        `SELECT fleet, avg(fuel_consumption) AS used, avg(nominal_fuel_consumption) AS projected
          FROM readings WHERE velocity > 1 GROUP BY fleet ORDER BY fleet`,
    },
    {
      name: 'TSBS avg-load',
      tables: diagnostics,
      days: 'all',
      sql: () =>
        `SELECT fleet, model, load_capacity, avg(share) AS mean FROM
          (SELECT fleet, model, load_capacity, name, avg(current_load / load_capacity) AS share FROM diagnostics
            GROUP BY fleet, model, load_capacity, name) s
          GROUP BY fleet, model, load_capacity ORDER BY fleet, model, load_capacity`,
    },
    {
      name: 'TSBS daily-activity',
      tables: diagnostics,
      days: 'all',
      sql: (dialect) =>
        `SELECT day, fleet, model, count(*) / 144.0 AS share FROM
          (SELECT ${dialect.bucket(86_400, 'ten')} AS day, fleet, model FROM
            (SELECT ${dialect.bucket(600)} AS ten, fleet, model, name FROM diagnostics
              GROUP BY ten, fleet, model, name HAVING avg(status) < 1) b) s
          GROUP BY day, fleet, model ORDER BY day, fleet, model`,
    },
    {
      name: 'TSBS breakdown-frequency',
      tables: diagnostics,
      days: 'all',
      sql: (dialect) =>
        `SELECT model, count(*) AS breakdowns FROM
          (SELECT model, is_broken, lag(is_broken, 1, 0) OVER (PARTITION BY name ORDER BY t) AS was_broken FROM
            (SELECT name, model, ${dialect.bucket(600)} AS t, CASE WHEN avg(status) <= 0.5 THEN 1 ELSE 0 END AS is_broken
              FROM diagnostics GROUP BY name, model, t) b) s
          WHERE is_broken = 1 AND was_broken = 0 GROUP BY model ORDER BY model`,
    },
  ];
}
