import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Field, FieldType, TableColumns } from '@varve/common/contract/columns.js';
import fc from 'fast-check';
import { planColumns } from './plan-columns.js';

/** `site:tag v:double v__string:string@v`, the last one beside `v`; sorted by name as columns are. */
function toColumns(text: string): TableColumns {
  const columns = text
    .split(' ')
    .filter(Boolean)
    .sort()
    .map((part) => part.split(/[:@]/) as [string, string, string?]);
  const named = ([name, , sideOf]: (typeof columns)[number]) => ({ name, ...(sideOf && { sideOf }) });
  return {
    tags: columns.filter(([, kind]) => kind === 'tag').map(named),
    fields: columns
      .filter(([, kind]) => kind !== 'tag')
      .map((column) => ({ ...named(column), type: column[1] as FieldType })),
  };
}

function toText({ tags, fields }: TableColumns): string {
  const text = ({ name, sideOf }: Partial<Field>, kind: string) =>
    `${name ?? ''}:${kind}${sideOf === undefined ? '' : `@${sideOf}`}`;
  return [...tags.map((tag) => text(tag, 'tag')), ...fields.map((field) => text(field, field.type))].join(
    ' ',
  );
}

/** The table's columns afterwards, and per shipment where its columns went: `v>v__string`, same names left out. */
function plan(table: string | undefined, ...shipments: string[]): string {
  const result = planColumns(table === undefined ? undefined : toColumns(table), shipments.map(toColumns));
  const moved = result.mappings.map((mapping) =>
    mapping.flatMap(({ source, target }) => (source === target ? [] : `${source}>${target}`)).join(' '),
  );
  return [toText(result.columns) + (result.hasNewColumns ? ' (new)' : ''), ...moved].join(' | ');
}

const cases: [name: string, table: string | undefined, shipments: string[], expected: string][] = [
  ['a table begins with its shipments', undefined, ['s:tag v:double'], 's:tag v:double (new) | '],
  ['the same columns change nothing', 's:tag v:double', ['s:tag v:double'], 's:tag v:double | '],
  ['a part of the columns changes nothing', 's:tag v:double', [''], 's:tag v:double | '],
  ['a new field is added', 'v:double', ['w:long'], 'v:double w:long (new) | '],
  ['a new tag is added', 'v:double', ['s:tag'], 's:tag v:double (new) | '],
  ['integers go into doubles', 'v:double', ['v:long'], 'v:double | '],
  [
    'doubles do not go into integers',
    'v:long',
    ['v:double'],
    'v:long v__double:double@v (new) | v>v__double',
  ],
  ['a text goes beside', 'v:double', ['v:string'], 'v:double v__string:string@v (new) | v>v__string'],
  [
    'and stays there',
    'v:double v__string:string@v',
    ['v:string'],
    'v:double v__string:string@v | v>v__string',
  ],
  ['a tag beside a field', 'v:string', ['v:tag'], 'v__tag:tag@v v:string (new) | v>v__tag'],
  ['a field beside a tag', 'v:tag', ['v:string'], 'v:tag v__string:string@v (new) | v>v__string'],
  [
    'the first shipment decides',
    undefined,
    ['v:long', 'v:double'],
    'v:long v__double:double@v (new) |  | v>v__double',
  ],
  ['in either order', undefined, ['v:double', 'v:long'], 'v:double (new) |  | '],
  [
    'shipments with one misfit share its column',
    'v:double',
    ['v:string', 'v:string'],
    'v:double v__string:string@v (new) | v>v__string | v>v__string',
  ],
  [
    'a side column that is taken has its own',
    'v:double v__string:long',
    ['v:string'],
    'v:double v__string:long v__string__string:string@v (new) | v>v__string__string',
  ],
  [
    'no two columns meet in one',
    'v:double',
    ['v:string v__string:string'],
    'v:double v__string:string v__string__string:string@v (new) | v>v__string__string',
  ],
  [
    'a field called like a side column has its own',
    'v:long v__double:double@v',
    ['v__double:double'],
    'v:long v__double:double@v v__double__double:double@v__double (new) | v__double>v__double__double',
  ],
  [
    'integers beside a text do not mix with doubles beside it',
    'v:string v__double:double',
    ['v:long'],
    'v:string v__double:double v__long:long@v (new) | v>v__long',
  ],
];
for (const [name, table, shipments, expected] of cases)
  test(name, () => assert.equal(plan(table, ...shipments), expected));

test('original names come along, also beside, and are not changed later', () => {
  const shipment: TableColumns = { tags: [], fields: [{ name: 'v', type: 'string', originalName: 'V!' }] };
  assert.deepEqual(planColumns(toColumns('v:long'), [shipment]).columns.fields, [
    { name: 'v', type: 'long' },
    { name: 'v__string', type: 'string', originalName: 'V!', sideOf: 'v' },
  ]);
  assert.deepEqual(planColumns(toColumns('v:string'), [shipment]).columns.fields, [
    { name: 'v', type: 'string' },
  ]);
});

const kind = fc.constantFrom('tag', 'double', 'long', 'boolean', 'string');
const name = fc.constantFrom('a', 'b', 'a__tag', 'a__string', 'b__long', 'a__string__string');
const columns = fc
  .uniqueArray(fc.tuple(name, kind), { selector: ([columnName]) => columnName })
  .map((pairs) => toColumns(pairs.map((pair) => pair.join(':')).join(' ')));

test('whatever comes: nothing is dropped, mixed, changed or different the next time', () => {
  fc.assert(
    fc.property(columns, fc.array(columns, { maxLength: 4 }), (table, shipments) => {
      const first = planColumns(table, shipments);
      for (const mapping of first.mappings)
        assert.equal(new Set(mapping.map(({ target }) => target)).size, mapping.length, 'no two meet');
      for (const [index, shipment] of shipments.entries())
        assert.equal(
          first.mappings[index]?.length,
          shipment.tags.length + shipment.fields.length,
          'none dropped',
        );
      const kindOf = new Map(
        toText(first.columns)
          .split(' ')
          .map((pair) => pair.split(/[:@]/) as [string, string]),
      );
      for (const pair of toText(table).split(' ').filter(Boolean)) {
        const [columnName = '', columnKind] = pair.split(/[:@]/);
        assert.equal(kindOf.get(columnName), columnKind, 'columns keep their kind');
      }
      assert.deepEqual(planColumns(first.columns, shipments), { ...first, hasNewColumns: false });
    }),
  );
});
