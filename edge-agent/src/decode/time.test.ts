import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { parseTimeUs, type TimeUnit } from './time.js';

const cases: [value: unknown, unit: TimeUnit, us: number | undefined][] = [
  [1, 's', 1_000_000],
  [1.001, 's', 1_001_000],
  [1795300046.123456, 's', 1_795_300_046_123_456],
  [1_795_300_046_309, 'ms', 1_795_300_046_309_000],
  ['1795300046309', 'ms', 1_795_300_046_309_000],
  [0.5, 'ms', 500],
  [12, 'us', 12],
  [1_999, 'ns', 1],
  [-1_500, 'ns', -2],
  ['1795300046309123999', 'ns', 1_795_300_046_309_123],
  ['-1795300046309123999', 'ns', -1_795_300_046_309_124],
  ['-1795300046309123000', 'ns', -1_795_300_046_309_123],
  ['999', 'ns', 0],
  ['-1', 'ns', -1],
  ['0', 'ns', 0],
  ['1e9', 'ns', 1_000_000],
  ['9223372036854775806', 'ns', undefined],
  [1_795_300_046_309_123_999n, 'ns', 1_795_300_046_309_123],
  [1_795_300_046_309_123n, 'us', 1_795_300_046_309_123],
  [-5, 'ms', -5_000],
  [Number.NaN, 'ms', undefined],
  [Infinity, 'ms', undefined],
  ['', 'ms', undefined],
  ['soon', 'ms', undefined],
  [null, 'ms', undefined],
  [true, 's', undefined],
  [{}, 's', undefined],
  [1e300, 's', undefined],
  ['2026-11-21T10:00:00Z', 'rfc3339', 1_795_255_200_000_000],
  ['2026-11-21t11:00:00.123456789+01:00', 'rfc3339', 1_795_255_200_123_456],
  ['2026-11-21 10:00:00z', 'rfc3339', 1_795_255_200_000_000],
  ['2026-02-30T10:00:00Z', 'rfc3339', undefined],
  ['2026-11-21T25:00:00Z', 'rfc3339', undefined],
  ['2026-11-21T10:00:00', 'rfc3339', undefined],
  [5, 'rfc3339', undefined],
];
for (const [value, unit, us] of cases)
  test(`${typeof value === 'bigint' ? value : JSON.stringify(value)} in ${unit} is ${String(us)}`, () =>
    assert.equal(parseTimeUs(value, unit), us));
