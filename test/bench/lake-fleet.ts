/**
 * `lake-fleet`: what has to change at 100,000 agents, tried in a simulation (`simulation/fleet/`): several ingesters by a hash of
 * the agent's name, notifications in place of listing, and commits that are put again instead of planned anew.
 *
 * Only times of requests and the work of a shipment are assumed: `work` is 10 ms of one core, what ten rows took in `lake-ingest`, and
 * 2 ms for an ingester that has become faster. Money is at list prices of S3 and SQS in US dollars, storage and traffic left out.
 */
import { simulateFleet, type FleetOptions, type FleetResult } from '../simulation/fleet/fleet.js';
import type { RequestKind } from '../simulation/fleet/fleet-store.js';
import type { BenchOptions } from './bench-run.js';
import { verdict, type Cell, type Report } from './report.js';

const dollarsPerMillion: Readonly<Record<RequestKind, number>> = {
  ...{ put: 5, list: 5, get: 0.4, head: 0.4, receive: 0.4, delete: 0 },
};
const dayMs = 86_400_000;
const lagTargetMs = 60_000;

const today = {
  ...{ agents: 100_000, shipEveryMs: 10_000, ingesters: 1, shippingMs: 60_000, lostShare: 0.0001, seed: 1 },
  ...{ everyMs: 2_000, commitFilesMax: 500, transfersAtOnceMax: 8, workMsPerShipment: 10 },
  ...{ discovery: 'listing', onConflict: 'plan anew', sweepEveryMs: 600_000, hasTakeover: false },
} as const satisfies FleetOptions;
const many = {
  ...today,
  ingesters: 32,
  commitFilesMax: 10_000,
  transfersAtOnceMax: 32,
  workMsPerShipment: 2,
} as const;
const told = { ...many, discovery: 'notifications' } as const;
const again = { ...told, onConflict: 'put again' } as const;

const runs: readonly FleetOptions[] = [
  { ...today, agents: 1_000, workMsPerShipment: 2 },
  { ...today, workMsPerShipment: 2 },
  many,
  told,
  again,
  { ...again, everyMs: 10_000 },
  { ...again, everyMs: 10_000, ingesters: 64 },
  { ...again, everyMs: 10_000, ingesters: 128, workMsPerShipment: 10 },
  { ...again, everyMs: 10_000, ingesters: 8, shipEveryMs: 60_000, shippingMs: 180_000 },
  {
    ...again,
    everyMs: 10_000,
    ingesters: 32,
    shipEveryMs: 60_000,
    shippingMs: 180_000,
    workMsPerShipment: 10,
  },
];

export async function benchLakeFleet({ note }: BenchOptions): Promise<Report> {
  const results: { options: FleetOptions; result: FleetResult }[] = [];
  for (const options of runs) {
    note(`simulating ${describe(options)}`);
    results.push({ options, result: await simulateFleet(options) });
  }
  return {
    bench: 'lake-fleet',
    tables: [
      {
        title:
          'How far each comes, in simulated time: seconds from arrival to commit, and what it met on the way',
        columns: [
          'fleet',
          'committed, %',
          'median, s',
          'p99, s',
          'commits/s',
          'conflicts per commit',
          'load, %',
        ],
        rows: results.map(({ options, result }) => progressRow(options, result)),
      },
      {
        title:
          'Requests of all ingesters, millions a day, as if all days were like these minutes; the agents put theirs besides',
        columns: ['fleet', 'puts', 'gets', 'heads', 'lists', 'queue', '$ a day', 'log, GB a day'],
        rows: results.map(({ options, result }) => requestRow(options, result)),
      },
    ],
    findings: results.map(({ options, result }) => {
      const share = committedShare(result);
      const isKept = share > 0.999 && result.lagMs.p99 <= lagTargetMs && result.wrong.length === 0;
      return `${describe(options)}: keeps up, p99 within a minute, every shipment once: ${verdict(isKept)}`;
    }),
  };
}

function describe(options: FleetOptions): string {
  const { agents, shipEveryMs, ingesters, everyMs, discovery, onConflict, workMsPerShipment } = options;
  return (
    `${agents.toLocaleString('en')} agents every ${shipEveryMs / 1_000} s, ${ingesters} × ${discovery}, ` +
    `${onConflict}, rounds of ${everyMs / 1_000} s, ${workMsPerShipment} ms`
  );
}

const committedShare = ({ shipments, missing }: FleetResult) => 1 - missing / shipments;

function progressRow(options: FleetOptions, result: FleetResult): Cell[] {
  const { lagMs, commits, conflicts, load } = result;
  // After the shipping there is a minute at most to finish.
  const seconds = (options.shippingMs + 60_000) / 1_000;
  return [
    describe(options),
    100 * committedShare(result),
    lagMs.median / 1_000,
    lagMs.p99 / 1_000,
    commits / seconds,
    conflicts / commits,
    100 * load,
  ];
}

function requestRow(options: FleetOptions, { requests, logBytes }: FleetResult): Cell[] {
  const days = dayMs / options.shippingMs;
  const millions = (kind: RequestKind) => ((requests.get(kind) ?? 0) * days) / 1e6;
  const dollars = [...requests.keys()].reduce(
    (sum, kind) => sum + millions(kind) * dollarsPerMillion[kind],
    0,
  );
  return [
    describe(options),
    ...(['put', 'get', 'head', 'list', 'receive'] as const).map(millions),
    dollars,
    (logBytes * days) / 1e9,
  ];
}
