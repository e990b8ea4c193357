/** Tables are open: engines that are not ours find the same rows in them, in every state of a table's life. */
import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { checkReaders, type ReadersReport } from './readers/check-readers.js';
import { differences } from './readers/compare.js';

let report: ReadersReport;
before(async () => {
  report = await checkReaders(() => undefined);
});

for (const engine of ['clickhouse', 'duckdb', 'deltalake', 'polars', 'datafusion', 'spark'])
  test(`${engine} reads every state of a table`, (context) => {
    const verdict = report.engines.find((one) => one.engine === engine);
    if (verdict?.missing !== undefined) {
      context.skip(verdict.missing);
      return;
    }
    assert.deepEqual(
      report.states.map(({ name }, index) => [name, verdict?.problems[index]]),
      report.states.map(({ name }) => [name, []]),
    );
  });

test('a row too few, and a value that differs, are differences', () => {
  const rows = [
    { time: '1', site: null, device: 'a', v: '1' },
    { time: '2', site: null, device: 'a', v: null },
  ];
  assert.deepEqual(differences(rows.toReversed(), rows), []);
  assert.equal(differences(rows.slice(1), rows).length, 1);
  assert.equal(differences([rows[0] ?? {}, { ...rows[1], v: '2' }], rows).length, 1);
});
