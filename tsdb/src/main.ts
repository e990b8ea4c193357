/** `varve-tsdb`: the command line. The only file of tsdb that touches the process. */
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '@varve/common/clock.js';
import { createLogger } from '@varve/common/log.js';
import { createRegistry } from '@varve/common/metrics.js';
import { runProgram, stopSignal } from '@varve/common/program.js';
import { printQuery, printTables } from './client/print-answers.js';
import { readTsdbConfig, type TsdbConfig } from './config.js';
import { runTsdb } from './tsdb.js';

interface CommonOptions {
  readonly config: string;
  readonly set: readonly string[];
  readonly json?: true;
}

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

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

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1.');
  return Number(text);
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
    const log = await createLogger({
      program: 'varve-tsdb',
      level: options.logLevel,
      stream: process.stderr,
    });
    const registry = createRegistry(() => process.memoryUsage.rss());
    await runTsdb({ config, version, clock: systemClock, log, registry }, stopSignal(process));
  });

addCommand(
  'query <sql>',
  'Asks the running server.',
  'query "select * from environment order by time desc limit 10" --config tsdb.yaml',
)
  .option('--max-rows <count>', 'how many rows at most', parseCount)
  .option('--json', 'for programs')
  .action(async (sql: string, options: CommonOptions & { maxRows?: number }) => {
    const { listen } = await readConfigOf(options);
    const request = { sql, ...(options.maxRows === undefined ? {} : { max_rows: options.maxRows }) };
    process.stdout.write(await printQuery(listen, request, { json: options.json ?? false }));
  });

addCommand('tables', 'Lists the tables of the running server.', 'tables --config tsdb.yaml')
  .option('--json', 'for programs')
  .action(async (options: CommonOptions) => {
    const { listen } = await readConfigOf(options);
    process.stdout.write(await printTables(listen, { json: options.json ?? false }));
  });

// The SDK pinned here supports the Node this runs on; it warns of versions to come at every start.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
await runProgram(process, program);
