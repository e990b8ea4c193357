/** `varve-edge status` */
import { readEdgeConfig } from '../config.js';
import { printStatus } from '../status/status-client.js';
import {
  addConfigOptions,
  addExamples,
  sourceOf,
  type ConfigOptions,
  type DefineCommand,
} from './command.js';

export const define: DefineCommand = (command, context) => {
  addExamples(addConfigOptions(command), '--config edge.yaml')
    .option('--json', 'for programs')
    .action(async (options: ConfigOptions & { json?: true }) => {
      const { listen } = await readEdgeConfig(sourceOf(options, context));
      context.host.stdout.write(await printStatus(listen, options.json ?? false));
    });
};
