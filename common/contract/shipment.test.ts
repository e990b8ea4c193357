import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { isFailure } from '../errors.js';
import { parseShipmentMetadata } from './read-shipment.js';
import { formatShipmentMetadata, type ShipmentMetadata } from './shipment.js';

const plain: ShipmentMetadata = {
  ...{ agent: 'press', epoch: '20261122t000000z-1', lane: 'live', database: 'main', table: 'environment' },
  ...{ seq: 3, rowCount: 5, tags: ['device'], originalNames: { temp_c: 'Temp °C' } },
  ...{ firstLogSeq: 10, lastLogSeq: 14 },
};

const cases: [what: string, metadata: ShipmentMetadata][] = [
  ['without what is left out', plain],
  ['with decimals', { ...plain, decimals: { temperature: 2, level: 0 } }],
  ['with lost rows', { ...plain, lostRows: 2 }],
  ['of aggregates', { ...plain, aggregate: { everyMs: 10_000 }, decimals: { temperature_min: 15 } }],
];
for (const [what, metadata] of cases)
  test(`metadata is read back: ${what}`, () =>
    assert.deepEqual(parseShipmentMetadata(formatShipmentMetadata(metadata)), metadata));

test('no decimals are not written', () =>
  assert.equal(formatShipmentMetadata({ ...plain, decimals: {} }).has('varve.decimals'), false));

for (const text of ['', '{', '[2]', '{"a":-1}', '{"a":1.5}', '{"a":16}', '{"a":"2"}', '{"A b":2}'])
  test(`decimals of ${text || 'nothing'} break the contract, which names the key`, () => {
    const entries = new Map([...formatShipmentMetadata(plain), ['varve.decimals', text]]);
    assert.throws(
      () => parseShipmentMetadata(entries),
      (error) => isFailure(error, 'shipment_invalid') && error.message.includes('varve.decimals'),
    );
  });
