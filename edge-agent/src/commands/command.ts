/**
 * What all commands of `varve-edge` share. Each is a file of this folder that defines its options and what it does;
 * `main.ts` loads the one that was asked for, so that a running agent does not hold the tools in memory.
 */
import { InvalidArgumentError, type Command } from 'commander';
import type { ConfigSource } from '@varve/common/config/read-config.js';
import type { Host } from '@varve/common/program.js';

/** What `main.ts` hands on. */
export interface CommandContext {
  readonly host: Host & Pick<NodeJS.Process, 'memoryUsage'>;
  readonly version: string;
}

/** Adds options, an example and the action to a command that has its name and description. */
export type DefineCommand = (command: Command, context: CommandContext) => void;

export interface ConfigOptions {
  readonly config: string;
  readonly set: readonly string[];
}

export function addConfigOptions(command: Command): Command {
  const collect = (value: string, before: readonly string[]) => [...before, value];
  return command
    .requiredOption('--config <file>', 'the configuration, such as edge.yaml')
    .option('--set <path=value>', 'sets one option of the file; may be repeated', collect, []);
}

export function addExamples(command: Command, ...examples: readonly string[]): Command {
  const lines = examples.map((example) => `\n  varve-edge ${command.name()} ${example}`);
  return command.addHelpText('after', `\nExample${examples.length > 1 ? 's' : ''}:${lines.join('')}`);
}

export function sourceOf({ config, set }: ConfigOptions, { host }: CommandContext): ConfigSource {
  return { path: config, assignments: set, env: host.env };
}

/** Ends without a word when whoever reads the output, such as `head`, has what they wanted. */
export function endWithReader({ host }: CommandContext): void {
  host.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') host.exit(0);
    throw error;
  });
}

/** For commander: a whole number within bounds. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`Write a whole number from ${min} to ${max}.`);
  };
}
