/** `varve-edge check` */
import { isFailure } from '@varve/common/errors.js';
import { stopSignal } from '@varve/common/program.js';
import { readEdgeConfig, type EdgeConfig } from '../config.js';
import { describeConnections, checkConnections, isAllWell } from './check-connections.js';
import {
  addConfigOptions,
  addExamples,
  sourceOf,
  wholeNumber,
  type CommandContext,
  type ConfigOptions,
  type DefineCommand,
} from './command.js';
import { findUnfedStreams } from './unfed-streams.js';

interface CheckOptions extends ConfigOptions {
  readonly connect?: true;
  readonly seconds: number;
  readonly json?: true;
}

export const define: DefineCommand = (command, context) => {
  addExamples(addConfigOptions(command), '--config edge.yaml', '--config edge.yaml --connect --seconds 10')
    .option('--connect', 'asks brokers and store too; the running agent does not notice')
    .option('--seconds <count>', 'how long to listen to the topics', wholeNumber(0, 3_600), 5)
    .option('--json', 'for programs')
    .action((options: CheckOptions) => check(options, context));
};

async function check(options: CheckOptions, context: CommandContext): Promise<void> {
  const { host } = context;
  const config = await readForPrograms(options, context);
  if (!config) return;
  const { sources, streams } = config;
  const notes = findUnfedStreams(sources, streams);
  const listenMs = options.seconds * 1_000;
  const connections = options.connect && (await checkConnections(config, listenMs, stopSignal(host)));
  if (connections && !isAllWell(connections)) host.exitCode = 1;
  if (options.json) {
    host.stdout.write(`${JSON.stringify({ valid: true, problems: [], notes, ...connections })}\n`);
    return;
  }
  host.stdout.write(
    `${options.config} is right: ${count(sources.length, 'source')}, ${count(streams.length, 'stream')}\n`,
  );
  for (const note of notes) host.stdout.write(`note: ${note}\n`);
  if (connections) host.stdout.write(describeConnections(connections, listenMs));
}

/** Undefined when it has been said what is wrong. @throws Failure, for people */
async function readForPrograms(
  options: CheckOptions,
  context: CommandContext,
): Promise<EdgeConfig | undefined> {
  try {
    return await readEdgeConfig(sourceOf(options, context));
  } catch (error) {
    if (!options.json || !isFailure(error, 'config_invalid')) throw error;
    const { problems } = error.facts;
    context.host.stdout.write(`${JSON.stringify({ valid: false, problems, notes: [] })}\n`);
    context.host.exitCode = 78;
    return undefined;
  }
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
