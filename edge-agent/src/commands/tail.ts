/** `varve-edge tail` */
import { stopSignal } from '@varve/common/program.js';
import { readEdgeConfig } from '../config.js';
import { printDeadLetters, printReplay } from '../status/status-client.js';
import { showTail } from '../status/tail-client.js';
import {
  addConfigOptions,
  addExamples,
  endWithReader,
  sourceOf,
  wholeNumber,
  type ConfigOptions,
  type DefineCommand,
} from './command.js';

interface TailCommandOptions extends ConfigOptions {
  readonly dead?: true;
  readonly replayDead?: true;
  readonly dryRun?: true;
  readonly limit?: number;
  readonly json?: true;
}

const lettersDefault = 20;

export const define: DefineCommand = (command, context) => {
  const { host } = context;
  command.argument('[stream]', 'absent: what all streams make of their messages');
  addExamples(
    addConfigOptions(command),
    '--config edge.yaml',
    'environment --limit 10 --config edge.yaml',
    '--dead --config edge.yaml',
    '--replay-dead --dry-run --config edge.yaml',
  )
    .option('--dead', `the messages that no stream could read, newest first, with the reason`)
    .option(
      '--replay-dead',
      'hands them to the streams that refused them, after the configuration was mended',
    )
    .option('--dry-run', 'with --replay-dead: only says what would become of them')
    .option(
      '--limit <count>',
      `ends after so many messages (--dead: ${lettersDefault})`,
      wholeNumber(1, 1_000_000),
    )
    .option('--json', 'a line of JSON each; so it is when it does not go to a terminal, without --dead')
    .action(async (stream: string | undefined, options: TailCommandOptions) => {
      endWithReader(context);
      const { listen } = await readEdgeConfig(sourceOf(options, context));
      if (options.replayDead) {
        const question = { stream, isDryRun: options.dryRun ?? false };
        host.stdout.write(await printReplay(listen, question, options.json ?? false));
        return;
      }
      if (options.dead) {
        const limit = String(options.limit ?? lettersDefault);
        host.stdout.write(await printDeadLetters(listen, limit, options.json ?? false));
        return;
      }
      await showTail({
        address: listen,
        stream,
        asJson: options.json ?? !host.stdout.isTTY,
        countMax: options.limit ?? Number.POSITIVE_INFINITY,
        write: (text) => host.stdout.write(text),
        signal: stopSignal(host),
      });
    });
};
