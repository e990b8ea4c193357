import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demoHeading, demoLine, demoView, exampleCommand, type DemoFacts, type DemoState } from './view.js';

const facts: DemoFacts = {
  httpPort: 8181,
  edgePort: 8182,
  mqttPort: 1883,
  dataDir: '/home/ada/varve-data',
  hasSimulator: true,
};

const state: DemoState = {
  messagesDurable: 12_345,
  rowsShipped: 12_300,
  shipments: 42,
  rowsQueryable: 1_012_000,
  newestRowAgeMs: 2_140,
};

const unknown: DemoState = {
  messagesDurable: undefined,
  rowsShipped: undefined,
  shipments: undefined,
  rowsQueryable: undefined,
  newestRowAgeMs: undefined,
};

test('the block says how far the data has come', () => {
  assert.equal(
    demoView(state),
    `\
  messages in          12,345  since the start, on the agent's disk
  rows shipped         12,300  in 42 Parquet files
  rows queryable    1,012,000  in Delta tables, with those of earlier starts
  freshness             2.1 s  age of the newest row that a query sees`,
  );
});

test('the line says the same', () => {
  assert.equal(
    demoLine(state),
    'messages in 12,345, rows shipped 12,300 in 42 files, rows queryable 1,012,000, freshness 2.1 s',
  );
});

test('what is not known yet is a dash', () => {
  assert.equal(demoLine(unknown), 'messages in –, rows shipped – in – files, rows queryable –, freshness –');
});

test('a row from the near future has no negative age', () => {
  assert.match(demoLine({ ...state, newestRowAgeMs: -30 }), /freshness 0\.0 s/);
});

test('the heading names addresses, folder, and the command on a line of its own', () => {
  const heading = demoHeading(facts);
  for (const part of [
    'http://127.0.0.1:8181/',
    'http://127.0.0.1:8182/',
    'mqtt://127.0.0.1:1883',
    facts.dataDir,
  ])
    assert.ok(heading.includes(part), part);
  assert.ok(heading.split('\n').includes(exampleCommand(facts)));
});

test('without the simulator the heading says where messages are waited for', () => {
  assert.match(demoHeading({ ...facts, hasSimulator: false }), /plant\/<site>\/<device>\/environment/);
});
