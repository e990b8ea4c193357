import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allows, allowsAll, needOf } from './plan-access.js';
import { parseScope, type Scope } from './token.js';

const scope = (text: string): Scope => {
  const parsed = parseScope(text);
  assert.ok(parsed, text);
  return parsed;
};

const cases: [
  scope: string,
  access: 'read' | 'write' | 'admin',
  table: [string, string],
  isAllowed: boolean,
][] = [
  ['read', 'read', ['lab', 'runs'], true],
  ['read', 'write', ['lab', 'runs'], false],
  ['admin', 'write', ['lab', 'runs'], true],
  ['read:runs', 'read', ['main', 'runs'], true],
  ['read:runs', 'read', ['lab', 'runs'], false],
  ['read:lab.*', 'read', ['lab', 'runs'], true],
  ['read:lab.*', 'read', ['main', 'runs'], false],
  ['write:runs', 'read', ['main', 'runs'], true],
  ['write:runs', 'admin', ['main', 'runs'], false],
];
for (const [text, access, [database, table], isAllowed] of cases)
  test(`${text} ${isAllowed ? 'allows' : 'does not allow'} ${access} of ${database}.${table}`, () =>
    assert.equal(allows([scope(text)], access, database, table), isAllowed));

test('one table is not all', () => {
  assert.equal(allowsAll([scope('admin:main.*')], 'read'), false);
  assert.equal(allowsAll([scope('read')], 'read'), true);
});

for (const text of ['', 'reads', 'read:', 'read:a.b.c', 'read:A', 'root:*'])
  test(`"${text}" is no scope`, () => assert.equal(parseScope(text), undefined));

const needs: [method: string, route: string, need: string][] = [
  ['GET', '/healthz', 'nothing '],
  ['GET', '/metrics', 'all read'],
  ['POST', '/api/v1/query', 'tables '],
  ['GET', '/api/v1/tables/:table/range', 'table read'],
  ['POST', '/api/v1/tables/:table/restore', 'table write'],
  ['POST', '/api/v1/tables/:table/delete', 'table write'],
  ['DELETE', '/api/v1/queries/:id', 'all admin'],
  ['POST', '/api/v1/retain', 'all admin'],
  ['GET', '/api/v1/something-new', 'all admin'],
];
for (const [method, route, need] of needs)
  test(`${method} ${route} needs ${need}`, () => {
    const { kind, ...rest } = needOf(method, route);
    assert.equal(`${kind} ${'access' in rest ? rest.access : ''}`, need);
  });
