import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { TableBatch } from '../batch/table-batch.js';
import { findSeries, keyOfTags } from './series-keys.js';

for (const valueCount of [7, 400])
  test(`rows are of the series of their tags, with ${valueCount} values of each tag`, () => {
    const batch = new TableBatch({ tags: ['device', 'site'], declaredTypes: new Map() });
    const keys = Array.from({ length: 2_000 }, (_, row) => {
      const tags: [string, string][] = [['device', `d${(row * 13) % valueCount}`]];
      if (row % 3 > 0) tags.push(['site', `s${(row * 7) % valueCount}`]);
      batch.beginRow(row);
      for (const [name, value] of tags) batch.setTag(name, value);
      return keyOfTags(tags);
    });
    const series = findSeries(batch.finish());
    assert.deepEqual(
      [...series.indexes].map((index) => series.keys[index]),
      keys,
    );
    assert.equal(new Set(series.keys).size, series.keys.length);
  });
