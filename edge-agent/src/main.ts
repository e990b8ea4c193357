/** `varve-edge`: the command line. The only file of the agent that touches the process. */
import './v8-flags.js';
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { runProgram } from '@varve/common/program.js';
import { commands } from './commands/all.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('varve-edge')
  .description(
    'Reads MQTT, keeps every message on disk before it acknowledges it, and ships Parquet to a store.',
  )
  .version(version)
  .addHelpText('after', '\nExample:\n  varve-edge run --config edge.yaml');

for (const [name, { description, load }] of Object.entries(commands)) {
  const command = program.command(name).description(description);
  // The others are names in the help: what they are made of stays on the disk.
  if (process.argv.includes(name)) (await load()).define(command, { host: process, version });
}

// The SDK pinned here supports the Node this runs on; it warns of versions to come at every start.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
await runProgram(process, program);
