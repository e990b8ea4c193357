/** `npm run test:readers [-- --json]`: do engines that are not ours read our tables right, in every state? */
import { Command } from 'commander';
import { formatReport } from '../bench/report.js';
import { checkReaders, type ReadersReport } from './check-readers.js';

await new Command('npm run test:readers --')
  .description(
    'Reads one table, in all states of its life, with ClickHouse, DuckDB, and what Python has of delta-rs, Polars, DataFusion and Spark, and compares row counts and a checksum per column.',
  )
  .option('--json', 'for programs')
  .addHelpText('after', '\nExample:\n  VARVE_TEST_PYTHON=.venv/bin/python npm run test:readers')
  .action(async ({ json }: { json?: true }) => {
    const report = await checkReaders((line) => void process.stderr.write(`${line}\n`));
    const wrong = report.engines.flatMap(({ engine, problems }) =>
      problems.flatMap((lines, index) =>
        lines.map((line) => `${engine}, ${report.states[index]?.name ?? ''}: ${line}`),
      ),
    );
    process.stdout.write(json ? `${JSON.stringify(report.engines)}\n` : format(report, wrong));
    if (wrong.length > 0) process.exitCode = 1;
  })
  .parseAsync();

function format({ states, engines }: ReadersReport, wrong: readonly string[]): string {
  const asked = engines.filter(({ missing }) => missing === undefined);
  const left = engines.flatMap(({ engine, missing }) =>
    missing === undefined ? [] : `${engine}: ${missing}`,
  );
  const rows = states.map(({ name, expected }, index) => [
    name,
    String(expected.length),
    ...asked.map(({ problems }) => (problems[index]?.length === 0 ? 'same' : 'WRONG')),
  ]);
  const columns = ['state', 'rows', ...asked.map(({ engine }) => engine)];
  const findings = [...left.map((line) => `not asked: ${line}`), ...wrong, `${wrong.length} differences`];
  return formatReport({ bench: 'readers', tables: [{ title: '', columns, rows }], findings });
}
