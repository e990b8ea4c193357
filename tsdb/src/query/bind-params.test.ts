import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { planBinding, type Params, type ParamValue } from './bind-params.js';

const typeOf = (value: ParamValue) => String(planBinding(['1'], [value]).get('1')?.type);

const types: [value: ParamValue, type: string][] = [
  [1, 'BIGINT'],
  [-9_007_199_254_740_991, 'BIGINT'],
  [9_007_199_254_740_992, 'DOUBLE'],
  [1.5, 'DOUBLE'],
  ['x', 'VARCHAR'],
  [true, 'BOOLEAN'],
  [null, 'SQLNULL'],
  [[1, 2], 'BIGINT[]'],
  [[1, 2.5], 'DOUBLE[]'],
  [['a', null], 'VARCHAR[]'],
  [[null, true], 'BOOLEAN[]'],
  [[], 'SQLNULL[]'],
];
for (const [value, type] of types)
  test(`${JSON.stringify(value)} is bound as ${type}`, () => assert.equal(typeOf(value), type));

const refused: [names: string[], params: Params, message: string][] = [
  [['1'], [], 'there is no value for $1'],
  [[], ['x'], 'the SQL has no $1'],
  [['a', 'b'], { a: 1, c: 2 }, 'there is no value for $b; the SQL has no $c'],
  [['a'], [1], 'there is no value for $a; the SQL has no $1'],
  [['1'], [[1, 'x']], 'the array for $1 mixes number and string'],
];
for (const [names, params, message] of refused)
  test(`refuses ${JSON.stringify(params)} for ${names.join()}: ${message}`, () =>
    assert.throws(
      () => planBinding(names, params),
      (error) => isFailure(error, 'bad_param') && error.message === message,
    ));

test('the order of names does not matter', () => {
  assert.deepEqual([...planBinding(['b', 'a'], { a: 1, b: 2 }).keys()].sort(), ['a', 'b']);
});
