/**
 * `npm run bench [-- name …] [--json] [--runs N] [--messages N] [--minutes N] …`: what DESIGN §8 promises, measured.
 *
 * Absolute figures are of the machine and of the minute; what counts are ratios between things measured in one run.
 */
import { Command } from 'commander';
import type { BenchOptions } from './bench-run.js';
import { benchEdgeBytes } from './edge-bytes.js';
import { benchEdgeDecode } from './edge-decode.js';
import { benchEdgeIngest } from './edge-ingest.js';
import { benchEdgeMemory } from './edge-memory.js';
import { benchEdgeOffline } from './edge-offline.js';
import { benchEdgeWrites } from './edge-writes.js';
import { benchLakeCompact } from './lake-compact.js';
import { benchLakeFleet } from './lake-fleet.js';
import { benchLakeIngest } from './lake-ingest.js';
import { benchLakeOpen } from './lake-open.js';
import { benchLakeQueries } from './lake-queries.js';
import { benchLakeSize } from './lake-size.js';
import { benchQueryFairness, benchQueryWarm } from './query-fairness.js';
import { formatReport, type Report } from './report.js';

const benches: Readonly<Record<string, (options: BenchOptions) => Promise<Report>>> = {
  'edge-ingest': benchEdgeIngest,
  'edge-writes': benchEdgeWrites,
  'edge-memory': benchEdgeMemory,
  'edge-offline': benchEdgeOffline,
  'edge-decode': benchEdgeDecode,
  'lake-size': benchLakeSize,
  'lake-ingest': benchLakeIngest,
  'lake-queries': benchLakeQueries,
  'lake-compact': benchLakeCompact,
  'edge-bytes': benchEdgeBytes,
  'query-warm': benchQueryWarm,
  'query-fairness': benchQueryFairness,
  'lake-open': benchLakeOpen,
  'lake-fleet': benchLakeFleet,
};

const wholeNumber = (text: string): number => Math.max(1, Math.round(Number(text)));

interface Flags extends Omit<BenchOptions, 'note'> {
  readonly json?: true;
}

await new Command('npm run bench --')
  .description(`Measures: ${Object.keys(benches).join(', ')}. Without names, all of them.`)
  .argument('[names...]')
  .option('--json', 'for programs')
  .option(
    '--runs <count>',
    'of each measurement of edge-ingest and edge-decode; medians are reported',
    wholeNumber,
    3,
  )
  .option('--messages <count>', 'per run of edge-ingest', wholeNumber, 150_000)
  .option('--offline-messages <count>', 'while the store is away in edge-offline', wholeNumber, 10_000_000)
  .option('--minutes <count>', 'how long edge-memory watches', wholeNumber, 2)
  .option('--days <count>', 'of data in lake-queries', wholeNumber, 3)
  .option('--scale <factor>', 'of its 200 series', Number, 1)
  .option('--decimals <count>', 'its values are stored with this resolution; else as doubles', wholeNumber)
  .option('--asks <count>', 'how often each question is put in lake-queries', wholeNumber, 20)
  .option('--questions <text>', 'only those of lake-queries with such a name')
  .option('--cold <count>', 'how often each is put to a server that has just begun anew; 0: never', Number, 1)
  .option('--lake <folder>', 'keeps the lake there, or asks the one that is there already')
  .option(
    '--peers',
    'lake-queries also asks PostgreSQL, InfluxDB and VictoriaMetrics, where they are installed',
    false,
  )
  .action(async (names: string[], { json, ...flags }: Flags) => {
    const note = (text: string) => void process.stderr.write(`${text}\n`);
    for (const name of names.length > 0 ? names : Object.keys(benches)) {
      const bench = benches[name];
      if (!bench) throw new Error(`no bench "${name}": ${Object.keys(benches).join(', ')}`);
      const report = await bench({ ...flags, note });
      process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${formatReport(report)}\n`);
    }
  })
  .parseAsync();
