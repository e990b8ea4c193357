/** `npm run torture`: the command line. Exit code 1 where a message was lost or is there twice, or a program crashed. */
import { parseArgs } from 'node:util';
import { s3 } from '../requirements.js';
import { Cleanups } from './cleanups.js';
import { describeResult, keepReport, runTorture, type TortureResult } from './run-torture.js';

const usage = `usage: npm run torture -- [--minutes 5] [--seed 1] [--store folder|s3] [--agents 2] [--tsdbs 2]
                          [--rate 300] [--damage]

Runs Mosquitto, agents and tsdbs as real processes, strikes them with faults, heals everything, and checks by SQL that
every message the broker acknowledged is a row, once, or stands in the loss ledger.

  --minutes  how long faults go on; what is under way then has three minutes to arrive
  --seed     a whole number that decides all faults and their moments; a run that failed says its seed
  --store    s3 where VARVE_TEST_S3={"endpoint": "http://…", "bucket": "…"} is set, otherwise folder
  --agents, --tsdbs   how many of each
  --rate     messages per second
  --damage   overwrites bytes in the agents' databases, too

Example:
  npm run torture -- --minutes 2 --seed 7
`;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function numberOf(name: string, text: string, min: number): number {
  const number = Number(text);
  if (!Number.isFinite(number) || number < min)
    throw new Error(`--${name} must be a number from ${min} on, not "${text}"`);
  return number;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      seed: { type: 'string', default: '1' },
      store: { type: 'string', default: s3() ? 's3' : 'folder' },
      agents: { type: 'string', default: '2' },
      tsdbs: { type: 'string', default: '2' },
      rate: { type: 'string', default: '300' },
      damage: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (values.store !== 'folder' && values.store !== 's3') throw new Error('--store must be folder or s3');
  const seed = numberOf('seed', values.seed, 0);
  const cleanups = new Cleanups((error) => say(`could not tidy up: ${String(error)}`));
  const onSignal = () => void cleanups.run().then(() => process.exit(130));
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  process.once('uncaughtException', (error) => {
    say(`a fault of this program: ${error.stack ?? error.message}`);
    void cleanups.run().then(() => process.exit(1));
  });
  try {
    const result = await runTorture(cleanups, {
      seed,
      runMs: numberOf('minutes', values.minutes, 0.1) * 60_000,
      store: values.store,
      agentCount: numberOf('agents', values.agents, 1),
      tsdbCount: numberOf('tsdbs', values.tsdbs, 1),
      messagesPerSecond: numberOf('rate', values.rate, 20),
      damage: values.damage,
      print: say,
    });
    return report(result, seed);
  } finally {
    await cleanups.run();
  }
}

function report(result: TortureResult, seed: number): number {
  const { verdict, crashes, complaints, keptFolder } = result;
  const lines = [...crashes, ...complaints, ...verdict.details, describeResult(result, seed)];
  for (const line of lines) say(line);
  if (keptFolder === undefined) return 0;
  keepReport(keptFolder, lines);
  say(`FAILED; what the programs left and said is in ${keptFolder}`);
  return 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  process.exitCode = 1;
}
