/** `varve-edge`: the command line. The only file of the agent that touches the process. */
import './v8-flags.js';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { systemClock } from '@varve/common/clock.js';
import type { ConfigSource } from '@varve/common/config/read-config.js';
import { createLogger } from '@varve/common/log.js';
import { createRegistry } from '@varve/common/metrics.js';
import { runProgram, stopSignal } from '@varve/common/program.js';
import { runAgent } from './agent.js';
import { readEdgeConfig } from './config.js';
import { examine } from './doctor/doctor.js';
import { describeDiagnosis, hasProblems } from './doctor/finding.js';
import { databaseFile } from './log/start-edge-log.js';
import { runHealing } from './run-healing.js';
import { printDeadLetters, printStatus } from './status/status-client.js';

interface CommonOptions {
  readonly config: string;
  readonly set: readonly string[];
}

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('varve-edge')
  .description(
    'Reads MQTT, keeps every message on disk before it acknowledges it, and ships Parquet to a store.',
  )
  .version(version)
  .addHelpText('after', '\nExample:\n  varve-edge run --config edge.yaml');

function addCommand(name: string, description: string, example: string): Command {
  const collect = (value: string, before: readonly string[]) => [...before, value];
  return program
    .command(name)
    .description(description)
    .requiredOption('--config <file>', 'the configuration, such as edge.yaml')
    .option('--set <path=value>', 'sets one option of the file; may be repeated', collect, [])
    .addHelpText('after', `\nExample:\n  varve-edge ${example}`);
}

const sourceOf = ({ config, set }: CommonOptions): ConfigSource => ({
  path: config,
  assignments: set,
  env: process.env,
});

addCommand('run', 'Collects until it is stopped.', 'run --config edge.yaml --set ship.every=5s')
  .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
  .action(async (options: CommonOptions & { logLevel: string }) => {
    const config = await readEdgeConfig(sourceOf(options));
    const logger = createLogger({ program: 'varve-edge', level: options.logLevel, stream: process.stderr });
    const random = () => Math.random();
    const signal = stopSignal(process);
    const run = (damage: string | undefined) => {
      const registry = createRegistry(() => process.memoryUsage.rss());
      return runAgent({ config, version, clock: systemClock, random, logger, registry, damage }, signal);
    };
    const databasePath = join(config.dataDir, databaseFile);
    await runHealing(run, { clock: systemClock, databasePath }, signal);
  });

addCommand(
  'check',
  'Says whether the configuration is right, and every problem it has.',
  'check --config edge.yaml',
).action(async (options: CommonOptions) => {
  const { sources, streams } = await readEdgeConfig(sourceOf(options));
  process.stdout.write(`${options.config} is right: ${sources.length} sources, ${streams.length} streams\n`);
});

addCommand(
  'doctor',
  'Looks at everything in data_dir while the agent is stopped, and says what it found.',
  'doctor --config edge.yaml',
)
  .option('--repair', 'salvages a damaged database, as the next start would')
  .option('--json', 'for programs')
  .action(async (options: CommonOptions & { repair?: true; json?: true }) => {
    const config = await readEdgeConfig(sourceOf(options));
    const diagnosis = examine({ config, clock: systemClock, isRepair: options.repair ?? false });
    process.stdout.write(options.json ? `${JSON.stringify(diagnosis)}\n` : describeDiagnosis(diagnosis));
    if (hasProblems(diagnosis)) process.exitCode = 1;
  });

addCommand('status', 'Says how the running agent fares.', 'status --config edge.yaml')
  .option('--json', 'for programs')
  .action(async (options: CommonOptions & { json?: true }) => {
    const { listen } = await readEdgeConfig(sourceOf(options));
    process.stdout.write(await printStatus(listen, options.json ?? false));
  });

addCommand('tail', 'Shows messages of the running agent.', 'tail --dead --config edge.yaml')
  .requiredOption('--dead', 'the messages that no stream could read, newest first, with the reason')
  .option('--limit <count>', 'how many', '20')
  .option('--json', 'for programs')
  .action(async (options: CommonOptions & { limit: string; json?: true }) => {
    const { listen } = await readEdgeConfig(sourceOf(options));
    process.stdout.write(await printDeadLetters(listen, options.limit, options.json ?? false));
  });

// The SDK pinned here supports the Node this runs on; it warns of versions to come at every start.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
await runProgram(process, program);
