import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { Failure } from '@varve/common/errors.js';
import { Trouble } from './trouble.js';

const denied = (file: string) => new Failure('store_denied', `could not write ${file}`);

test('a trouble begins once, whatever its message says, and ends once', () => {
  const trouble = new Trouble();
  assert.equal(trouble.ends(), false, 'there was none');
  assert.deepEqual([trouble.begins(denied('a')), trouble.begins(denied('b'))], [true, false]);
  assert.equal(trouble.begins(new Failure('disk_full', 'full')), true, 'another one');
  assert.deepEqual([trouble.isThere, trouble.ends(), trouble.ends()], [true, true, false]);
  assert.equal(trouble.begins(denied('a')), true, 'the same anew');
});
