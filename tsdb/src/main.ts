/** `varve-tsdb`: the command line. The only file of tsdb that touches the process. */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '@varve/common/clock.js';
import { parseDurationMs } from '@varve/common/config/units.js';
import { createLogger } from '@varve/common/log.js';
import { createRegistry } from '@varve/common/metrics.js';
import { runProgram, stopSignal } from '@varve/common/program.js';
import { useToken } from './client/ask-server.js';
import { printQuery, printTables } from './client/print-answers.js';
import { printDelete, printRetention } from './client/print-jobs.js';
import { readTsdbConfig, type TsdbConfig } from './config.js';
import type { TokenFlags } from './commands/tokens.js';

interface CommonOptions {
  readonly config: string;
  readonly set: readonly string[];
  readonly json?: true;
}

interface DeleteFlags {
  readonly where?: string;
  readonly start?: string;
  readonly end?: string;
  readonly dryRun?: true;
}

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

useToken(process.env['VARVE_TOKEN']);

const program = new Command('varve-tsdb')
  .description(
    'Keeps the history of sensors in Delta Lake tables on object storage and answers SQL over HTTP.',
  )
  .version(version)
  .addHelpText('after', '\nExample:\n  varve-tsdb serve --config tsdb.yaml');

function addCommand(usage: string, description: string, example: string): Command {
  const collect = (value: string, before: readonly string[]) => [...before, value];
  return program
    .command(usage)
    .description(description)
    .requiredOption('--config <file>', 'the configuration, such as tsdb.yaml')
    .option('--set <path=value>', 'sets one option of the file; may be repeated', collect, [])
    .addHelpText('after', `\nExample:\n  varve-tsdb ${example}`);
}

const readConfigOf = ({ config, set }: CommonOptions): Promise<TsdbConfig> =>
  readTsdbConfig({ path: config, assignments: set, env: process.env });

function collectText(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1.');
  return Number(text);
}

function parseDuration(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined) throw new InvalidArgumentError('It must be a duration such as 12h or 30d.');
  return ms;
}

addCommand(
  'serve',
  'Takes in shipments and answers queries until it is stopped.',
  'serve --config tsdb.yaml --set listen=0.0.0.0:8181',
)
  .addOption(
    new Option('--log-level <level>').choices(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  )
  .action(async (options: CommonOptions & { logLevel: string }) => {
    const config = await readConfigOf(options);
    // Not at the top: other commands need none of it, and answer in half the time.
    const { runTsdb } = await import('./tsdb.js');
    const log = await createLogger({
      program: 'varve-tsdb',
      level: options.logLevel,
      stream: process.stderr,
    });
    const residentBytes = () => process.memoryUsage.rss();
    const registry = createRegistry(residentBytes);
    const memory = {
      residentBytes,
      machineBytes: Math.min(totalmem(), process.constrainedMemory() || Infinity),
    };
    const blockingThreads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);
    await runTsdb(
      { config, version, blockingThreads, memory, clock: systemClock, log, registry },
      stopSignal(process),
    );
  });

addCommand(
  'query <sql>',
  'Asks the running server.',
  'query "select * from environment order by time desc limit 10" --config tsdb.yaml',
)
  .option('--max-rows <count>', 'how many rows at most', parseCount)
  .option('--json', 'for programs')
  .action(async (sql: string, options: CommonOptions & { maxRows?: number }) => {
    const server = await readConfigOf(options);
    const request = { sql, ...(options.maxRows === undefined ? {} : { max_rows: options.maxRows }) };
    process.stdout.write(await printQuery(server, request, { json: options.json ?? false }));
  });

addCommand('tables', 'Lists the tables of the running server.', 'tables --config tsdb.yaml')
  .option('--json', 'for programs')
  .action(async (options: CommonOptions) => {
    const server = await readConfigOf(options);
    process.stdout.write(await printTables(server, { json: options.json ?? false }));
  });

addCommand(
  'token <action>',
  'create, list or revoke tokens: who may ask what over the network.',
  'token create --scope read:environment --expires 90d --config tsdb.yaml',
)
  .option(
    '--scope <scope>',
    'read, write or admin; of one table: read:environment, read:lab.*',
    collectText,
    [],
  )
  .option('--description <text>', 'for whom', '')
  .option('--expires <duration>', 'such as 90d; never if left out', parseDuration)
  .option('--requests-per-minute <count>', 'more are refused for a while', parseCount)
  .option('--id <id>', 'of the token to revoke')
  .option('--json', 'for programs')
  .action(async (action: string, options: CommonOptions & TokenFlags) => {
    const { printTokens } = await import('./commands/tokens.js');
    process.stdout.write(await printTokens(await readConfigOf(options), action, options));
  });

const parseVersion = (text: string): number => {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a version number, from 0.');
  return Number(text);
};

addCommand('versions <table>', 'Lists the versions of a table.', 'versions environment --config tsdb.yaml')
  .option('--limit <count>', 'how many at most, newest first', parseCount, 50)
  .option('--json', 'for programs')
  .action(async (table: string, options: CommonOptions & { limit: number }) => {
    const { printVersions } = await import('./commands/versions.js');
    const { limit, json = false } = options;
    process.stdout.write(await printVersions(await readConfigOf(options), table, { limit, json }));
  });

addCommand(
  'restore <table>',
  'Makes a table what it was, as a new version.',
  'restore environment --version 12 --dry-run --config tsdb.yaml',
)
  .requiredOption('--version <number>', 'the version to go back to', parseVersion)
  .option('--dry-run', 'only says what would happen')
  .option('--json', 'for programs')
  .action(async (table: string, options: CommonOptions & { version: number; dryRun?: true }) => {
    const { printRestore } = await import('./commands/versions.js');
    const { version, dryRun = false, json = false } = options;
    process.stdout.write(await printRestore(await readConfigOf(options), table, { version, dryRun, json }));
  });

for (const [usage, description] of [
  ['pin', 'Keeps a version for good: its files and what is needed to read it.'],
  ['unpin', 'Lets a pinned version go with its age.'],
] as const)
  addCommand(`${usage} <table>`, description, `${usage} environment --version 12 --config tsdb.yaml`)
    .requiredOption('--version <number>', 'the version', parseVersion)
    .action(async (table: string, options: CommonOptions & { version: number }) => {
      const { printPin, printUnpin } = await import('./commands/versions.js');
      const print = usage === 'pin' ? printPin : printUnpin;
      process.stdout.write(await print(await readConfigOf(options), table, options.version));
    });

addCommand(
  'vacuum <table>',
  'Deletes files that no version inside retention needs. The server does it once a day.',
  'vacuum environment --dry-run --config tsdb.yaml',
)
  .option(
    '--older-than <duration>',
    "such as 30d; as the table's configuration says if left out",
    parseDuration,
  )
  .option('--dry-run', 'only says what would happen')
  .option('--force', 'allows less than the table promises: no query and no writer may be at work')
  .option('--json', 'for programs')
  .action(
    async (table: string, options: CommonOptions & { olderThan?: number; dryRun?: true; force?: true }) => {
      const { printVacuum } = await import('./commands/versions.js');
      const { olderThan: olderThanMs, dryRun = false, force = false, json = false } = options;
      const report = await printVacuum(await readConfigOf(options), table, {
        olderThanMs,
        dryRun,
        force,
        json,
      });
      process.stdout.write(report);
    },
  );

addCommand(
  'delete <table>',
  'Deletes rows of a table, as a job of the running server, and waits for its end.',
  `delete environment --where "device = 'dev-1'" --start 2026-03-01 --end 2026-03-02 --dry-run --config tsdb.yaml`,
)
  .option('--where <expression>', "over the table's columns; rows for which it is true go")
  .option('--start <time>', 'rows from then on, such as 2026-03-01 or 2026-03-01T12:00:00Z')
  .option('--end <time>', 'rows before this')
  .option('--dry-run', 'only says what would go')
  .option('--json', 'for programs')
  .action(async (table: string, options: CommonOptions & DeleteFlags) => {
    const server = await readConfigOf(options);
    const { where, start, end, dryRun = false, json = false } = options;
    const limits = { ...(where !== undefined && { where }), ...(start && { start }), ...(end && { end }) };
    const body = { ...limits, dry_run: dryRun };
    process.stdout.write(await printDelete(server, table, body, { json, clock: systemClock }));
  });

addCommand(
  'retain',
  'Lets days older than retain leave their tables now, which the running server does every ten minutes.',
  'retain --dry-run --config tsdb.yaml',
)
  .option('--dry-run', 'only says what would go')
  .option('--json', 'for programs')
  .action(async (options: CommonOptions & { dryRun?: true }) => {
    const server = await readConfigOf(options);
    const { dryRun = false, json = false } = options;
    process.stdout.write(await printRetention(server, dryRun, { json }));
  });

addCommand(
  'doctor',
  'Looks whether log, objects, statistics and inbox fit together. Ends with 1 when something is wrong.',
  'doctor --repair --config tsdb.yaml',
)
  .option('--repair', 'mends what can be mended without losing anything')
  .option('--sample <count>', 'files of each table that are read', parseCount, 5)
  .option('--json', 'for programs')
  .action(async (options: CommonOptions & { repair?: true; sample: number }) => {
    const { runDoctor } = await import('./doctor/doctor.js');
    const { repair = false, sample, json = false } = options;
    const { text, isHealthy } = await runDoctor(await readConfigOf(options), { repair, sample, json });
    process.stdout.write(text);
    if (!isHealthy) process.exitCode = 1;
  });

// The SDK pinned here supports the Node this runs on; it warns of versions to come at every start.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
await runProgram(process, program);
