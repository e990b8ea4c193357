import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { formatTable } from './format-table.js';
import { describeAnswer, describeTables, printQuery } from './print-answers.js';

test('aligns columns, numbers to the right', () => {
  assert.equal(
    formatTable(
      ['device', 'temp'],
      [
        ['dev-1', 21.5],
        ['é', null],
        [null, 5],
      ],
    ),
    ['device  temp', '──────  ────', 'dev-1   21.5', 'é', '           5', ''].join('\n'),
  );
});

test('shows lists, cuts what is long, and lets no value command the terminal', () => {
  const text = formatTable(['v'], [[[1, 2]], ['x'.repeat(200)], ['\u001b[2Jgone']]);
  const [, , list, long, escape] = text.split('\n');
  assert.equal(list, '[1,2]');
  assert.equal(long, `${'x'.repeat(79)}…`);
  assert.equal(escape, '·[2Jgone');
});

test('says how many rows, and that there are more', () => {
  const answer = {
    columns: [{ name: 'a', type: 'int32' }],
    rows: [[1]],
    row_count: 1,
    stats: { elapsed_ms: 1.25 },
  };
  assert.equal(describeAnswer({ ...answer, truncated: false }), 'a\n─\n1\none row in 1.3 ms\n');
  assert.match(describeAnswer({ ...answer, truncated: true }), /there are more: ask with --max-rows/);
});

test('lists tables', () => {
  const table = {
    name: 'energy',
    database: 'main',
    rows: 5,
    bytes: 100,
    files: 1,
    version: 2,
    min_time: null,
    max_time: null,
  };
  assert.match(describeTables([table]), /^main {6}energy {5}5 {6}1 {4}100 {8}2$/m);
  assert.match(describeTables([]), /no tables yet/);
});

test('says that no server answers', async () => {
  await assert.rejects(
    printQuery({ listen: { host: '0.0.0.0', port: 1 } }, { sql: 'select 1' }, { json: true }),
    (error) => isFailure(error, 'server_unreachable') && error.message.includes('http://127.0.0.1:1/'),
  );
});
