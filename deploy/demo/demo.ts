/**
 * `npm start`: a broker, a simulated plant, an agent and a store on this machine, with nothing to install or configure.
 * A second start goes on with the data of the first.
 */
import { Command, InvalidArgumentError } from 'commander';
import { systemClock } from '@varve/common/clock.js';
import { runProgram } from '@varve/common/program.js';
import { planChildren, runChildren } from './children.js';
import { openDemoFolder, writeConfigs, type DemoFolder } from './demo-folder.js';
import { requireFreePorts } from './ports.js';
import { show } from './show.js';
import type { DemoFacts } from './view.js';

interface DemoOptions {
  readonly data: string;
  readonly httpPort: number;
  readonly mqttPort: number;
  readonly edgePort: number;
  readonly simulator: boolean;
  readonly fresh?: true;
}

const program = new Command('npm start --')
  .description('The demo: a broker, a simulated plant, an agent and a store on this machine.')
  .option('--data <dir>', 'where everything is kept', './varve-data')
  .option('--http-port <port>', 'of the store, which answers queries', parsePort, 8181)
  .option('--mqtt-port <port>', 'of the broker', parsePort, 1883)
  .option('--edge-port <port>', "of the agent's status", parsePort, 8182)
  .option('--no-simulator', 'nothing is simulated: send messages yourself')
  .option('--fresh', 'deletes what an earlier demo left in the data folder')
  .addHelpText('after', '\nExample:\n  npm start -- --data /tmp/plant --mqtt-port 11883')
  .action(runDemo);

async function runDemo(options: DemoOptions): Promise<void> {
  const { stop, force } = stopRequests();
  const folder = await openDemoFolder(options.data, options.fresh ?? false);
  try {
    await requireFreePorts([
      { name: 'the store', option: '--http-port', port: options.httpPort },
      { name: 'MQTT', option: '--mqtt-port', port: options.mqttPort },
      { name: 'the agent', option: '--edge-port', port: options.edgePort },
    ]);
    await runInFolder(folder, options, stop, force);
  } finally {
    await folder.release();
  }
}

async function runInFolder(
  folder: DemoFolder,
  { httpPort, mqttPort, edgePort, simulator: hasSimulator }: DemoOptions,
  stop: AbortSignal,
  force: AbortSignal,
): Promise<void> {
  const facts: DemoFacts = { httpPort, mqttPort, edgePort, hasSimulator, dataDir: folder.path };
  writeConfigs(folder, { HTTP_PORT: httpPort, MQTT_PORT: mqttPort, EDGE_PORT: edgePort });
  const isOrderly = await runChildren(planChildren(facts, folder), {
    ...{ clock: systemClock, stop, force },
    onStart: (name) => process.stdout.write(`starting ${name}\n`),
    onStop: (names) => process.stdout.write(`\nstopping ${names.join(', ')}\n`),
    onFailure: (description) => process.stderr.write(`\n${description}`),
    whileRunning: (over) => show(facts, systemClock, process.stdout, over),
  });
  if (!isOrderly) process.exitCode = 1;
  process.stdout.write(`The data lies in ${folder.path}; the next start goes on with it.\n`);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new InvalidArgumentError('A port is a number from 1 to 65535.');
  return port;
}

/** npm hands on to its child a Ctrl-C that the terminal has already sent to all: within this time both are one. */
const sameRequestMs = 1_000;

/** The first request is for an orderly stop; one that comes later is impatient. */
function stopRequests() {
  const stop = new AbortController();
  const force = new AbortController();
  let firstMs: number | undefined;
  const onSignal = () => {
    firstMs ??= systemClock.monotonicMs();
    stop.abort();
    if (systemClock.monotonicMs() - firstMs > sameRequestMs) force.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return { stop: stop.signal, force: force.signal };
}

await runProgram(process, program);
