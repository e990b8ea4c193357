import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TableColumns } from '@varve/common/contract/columns.js';
import { isFailure } from '@varve/common/errors.js';
import { formatSchema, parseSchema } from './schema.js';

const columns: TableColumns = {
  tags: [{ name: 'device' }, { name: 'site', originalName: 'Site' }],
  fields: [
    { name: 'count', type: 'long' },
    { name: 'level', type: 'double', decimals: 2 },
    { name: 'temp_c', type: 'double', originalName: 'Temp °C' },
  ],
};

test('columns come back from the schema they were written as', () => {
  assert.deepEqual(parseSchema('t', formatSchema(columns)), columns);
});

test('the schema begins with time, ends with day, and lets every column be null', () => {
  const { fields } = JSON.parse(formatSchema(columns)) as {
    fields: { name: string; type: string; nullable: boolean; metadata: object }[];
  };
  assert.deepEqual(
    fields.map(({ name, type }) => `${name} ${type}`),
    [
      'time timestamp',
      'device string',
      'site string',
      'count long',
      'level decimal(18,2)',
      'temp_c double',
      'day date',
    ],
  );
  assert.ok(fields.every(({ nullable }) => nullable));
  assert.deepEqual(fields[5]?.metadata, { 'varve.role': 'field', 'varve.original_name': 'Temp °C' });
});

const column = (name: string, type: unknown) => ({ name, type, nullable: true, metadata: {} });
const schemaOf = (...fields: object[]) => JSON.stringify({ type: 'struct', fields });

test('the strings of a table that others wrote are fields', () => {
  const schema = schemaOf(
    column('z', 'long'),
    column('series', 'string'),
    column('time', 'timestamp'),
    column('day', 'date'),
  );
  assert.deepEqual(parseSchema('t', schema), {
    tags: [],
    fields: [
      { name: 'series', type: 'string' },
      { name: 'z', type: 'long' },
    ],
  });
});

test('a table without time or day, or with a type nobody here knows, is unreadable', () => {
  const [time, day] = [column('time', 'timestamp'), column('day', 'date')];
  for (const schema of [
    schemaOf(day),
    schemaOf(time),
    schemaOf(column('time', 'long'), day),
    schemaOf(time, day, column('v', { type: 'array', elementType: 'long' })),
    schemaOf(time, day, column('v', 'decimal(10,2)')),
    '{"type":"struct"}',
    'no json',
  ])
    assert.throws(
      () => parseSchema('t', schema),
      (error) => isFailure(error, 'table_unreadable'),
      schema,
    );
});
