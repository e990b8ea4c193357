import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { columnsOf, routeAll, streamOf } from './streams.test.fixture.js';

const read: [payload: string, stream: object, columns: Record<string, unknown[]>][] = [
  ['21.5', {}, { 'value:double': [21.5] }],
  [' -1e3\n', {}, { 'value:double': [-1_000] }],
  ['true', {}, { 'value:boolean': [1] }],
  ['False', {}, { 'value:boolean': [0] }],
  ['running', {}, { 'value:string': ['running'] }],
  ['1.2.3', {}, { 'value:string': ['1.2.3'] }],
  ['0x10', {}, { 'value:string': ['0x10'] }],
  ['NaN', {}, { 'value:string': ['NaN'] }],
  ['7', { format: { type: 'value', field: 'level' } }, { 'level:double': [7] }],
  ['7', { fields: { value: 'long' } }, { 'value:long': [7] }],
  ['9223372036854775807', { fields: { value: 'long' } }, { 'value:long': [9_223_372_036_854_775_807n] }],
  ['007', { fields: { value: 'string' } }, { 'value:string': ['007'] }],
  ['ON', { fields: { value: 'boolean' } }, { 'value:boolean': [1] }],
  ['0', { fields: { value: 'boolean' } }, { 'value:boolean': [0] }],
  ['215', { fields: { temp: { path: 'value', scale: 0.1 } } }, { 'temp:double': [21.5] }],
];
for (const [payload, stream, columns] of read)
  test(`${JSON.stringify(payload)} is ${Object.keys(columns).join()}`, () => {
    const { tables, refusals } = routeAll([streamOf({ topic: '#', format: 'value', ...stream })], [payload]);
    assert.deepEqual(refusals, []);
    assert.deepEqual(columnsOf(tables['environment']), columns);
  });

for (const payload of ['', ' \n', Buffer.from([0xff])])
  test(`${JSON.stringify(payload)} is refused`, () => {
    const { refusals } = routeAll([streamOf({ format: 'value' })], [payload]);
    assert.equal(refusals[0]?.code, 'not_value');
  });
