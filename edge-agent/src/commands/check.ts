/** `varve-edge check` */
import { readEdgeConfig } from '../config.js';
import {
  addConfigOptions,
  addExamples,
  sourceOf,
  type ConfigOptions,
  type DefineCommand,
} from './command.js';

export const define: DefineCommand = (command, context) => {
  addExamples(addConfigOptions(command), '--config edge.yaml').action(async (options: ConfigOptions) => {
    const { sources, streams } = await readEdgeConfig(sourceOf(options, context));
    context.host.stdout.write(
      `${options.config} is right: ${sources.length} sources, ${streams.length} streams\n`,
    );
  });
};
