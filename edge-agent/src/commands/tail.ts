/** `varve-edge tail` */
import { readEdgeConfig } from '../config.js';
import { printDeadLetters } from '../status/status-client.js';
import {
  addConfigOptions,
  addExamples,
  sourceOf,
  type ConfigOptions,
  type DefineCommand,
} from './command.js';

export const define: DefineCommand = (command, context) => {
  addExamples(addConfigOptions(command), '--dead --config edge.yaml')
    .requiredOption('--dead', 'the messages that no stream could read, newest first, with the reason')
    .option('--limit <count>', 'how many', '20')
    .option('--json', 'for programs')
    .action(async (options: ConfigOptions & { limit: string; json?: true }) => {
      const { listen } = await readEdgeConfig(sourceOf(options, context));
      context.host.stdout.write(await printDeadLetters(listen, options.limit, options.json ?? false));
    });
};
