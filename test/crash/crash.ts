/** `npm run crash`: the command line. Exit code 1 where an answer is wrong or a file is left over. */
import { parseArgs } from 'node:util';
import { withOwner } from '../bench/bench-run.js';
import { runCrash } from './run-crash.js';

const usage = `usage: npm run crash -- [--kills 200] [--seed 1]

Kills a real tsdb with SIGKILL while it takes shipments in, compacts, deletes rows and vacuums; then holds its answer against
a model, and its files against its log.
`;

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) process.stdout.write(usage);
else {
  const [kills, seed] = [Number(values.kills), Number(values.seed)];
  if (!Number.isSafeInteger(kills) || kills < 1 || !Number.isSafeInteger(seed)) throw new Error(usage);
  const note = (line: string) => void process.stdout.write(`${line}\n`);
  const result = await withOwner((owner) => runCrash(owner, { kills, seed, note }));
  for (const complaint of result.complaints) note(complaint);
  const kinds = [...result.kills].map(([work, count]) => `${work} ${count}`).join(', ');
  note(`kills ${kills} (${kinds}), rows ${result.rows}, wrong ${result.complaints.length}, seed ${seed}`);
  if (result.complaints.length > 0) process.exitCode = 1;
}
