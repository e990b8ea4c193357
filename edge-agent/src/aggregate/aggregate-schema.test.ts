import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { aggregatesSchema, rawSchema, readAggregates } from './aggregate-schema.js';

const read = (raw: unknown) => readAggregates('environment', aggregatesSchema.parse(raw));

test('a width names its table, unless it is told otherwise', () =>
  assert.deepEqual(read([{ every: '10s' }, { every: '1 m', table: 'minutes', lateness: '1m' }]), [
    { table: 'environment_10s', everyMs: 10_000, latenessMs: 10_000 },
    { table: 'minutes', everyMs: 60_000, latenessMs: 60_000 },
  ]));

test('quantiles are sorted, and fields are named by their columns', () =>
  assert.deepEqual(
    read([{ every: '1h', quantiles: [0.99, 0.5, 0.5], quantile_fields: ['data.Temp'] }])[0]?.quantiles,
    {
      shown: [0.5, 0.99],
      fields: new Set(['data_temp']),
    },
  ));

const wrong: [what: string, raw: unknown, message: RegExp][] = [
  ['a width', [{ every: 'ten' }], /is no width of windows: write one such as 10s, 1m or 1h/],
  ['a width below a second', [{ every: '10ms' }], /is no width of windows/],
  ['a table', [{ every: '10s', table: 'A b' }], /is not a table name/],
  ['a quantile in percent', [{ every: '10s', quantiles: [99] }], /list numbers between 0 and 1, such as/],
  ['no quantile', [{ every: '10s', quantiles: [] }], /list at least one, such as/],
  ['what is no list', { every: '10s' }, /list the windows, such as/],
];
for (const [what, raw, message] of wrong)
  test(`${what} of an aggregate that is wrong is explained`, () => assert.throws(() => read(raw), message));

for (const [text, raw] of [
  ['ship', 'ship'],
  ['drop', 'drop'],
  ['keep 7d', { keepMs: 7 * 86_400_000 }],
] as const)
  test(`raw: ${text}`, () => assert.deepEqual(rawSchema.parse(text), raw));
for (const [text, message] of [
  ['keep', /such as keep 7d/],
  ['kept 7d', /such as keep 7d/],
  ['keep 1s', /keep between 1m and 366d/],
] as const)
  test(`raw: ${text} is explained`, () => assert.throws(() => rawSchema.parse(text), message));
