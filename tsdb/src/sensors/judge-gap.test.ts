import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toAgentReport } from './agent-report.js';
import {
  agentCompleteness,
  completeUntilMs,
  shippedTo,
  tableCompleteUntilMs,
  type IngestState,
} from './complete-until.js';
import { judgeGap, openGapEndMs, type AgentLoss, type GapCause } from './judge-gap.js';

/** Minutes; it is 600. */
const at = (minutes: number) => minutes * 60_000;
const nowMs = at(600);
const name = { database: 'main', table: 'climate' };
const well = { oldest_unshipped_seconds: 1, uptime_seconds: 36_000, sources: {} };
const calm: IngestState = { lastRoundAtMs: nowMs, waiting: 3, gaps: [], troubles: [] };
const missing = { agent: 'hall', ...name, awaitedSeq: 7, firstWaitingSeq: 9, sinceMs: at(110) };
const loss: AgentLoss = { agent: 'hall', kind: 'evicted', fromMs: at(90), toMs: at(105) };

function agents(status: unknown = well, heardMs = nowMs, ingest = calm, names = ['hall']) {
  const transactions = new Map(names.map((agent) => [`edge/${agent}/e1/live`, 5]));
  const reports = new Map([['hall', toAgentReport('hall', heardMs, status)]]);
  const known = agentCompleteness({ name, transactions }, reports, ingest);
  // The short way, which queries take.
  const untilMs = tableCompleteUntilMs(shippedTo({ transactions }, reports), name, ingest);
  assert.equal(untilMs, completeUntilMs(known));
  return known;
}

type Known = ReturnType<typeof agents>;
const cases: [what: string, agents: Known, losses: AgentLoss[], gap: [number, number], cause: GapCause][] = [
  ['all is well', agents(), [], [100, 200], 'sensor'],
  ['nobody ships it', [], [], [100, 200], 'unknown'],
  ['not heard of since before it', agents(well, at(90)), [], [100, 200], 'network'],
  ['not heard of since, but it ended before', agents(well, at(300)), [], [100, 200], 'sensor'],
  ['unshipped since then', agents({ ...well, oldest_unshipped_seconds: 500 * 60 }), [], [50, 200], 'network'],
  ['unshipped since later', agents({ ...well, oldest_unshipped_seconds: 60 * 60 }), [], [50, 200], 'sensor'],
  [
    'the last minute is on its way',
    agents({ ...well, oldest_unshipped_seconds: 30 }),
    [],
    [599, 600],
    'sensor',
  ],
  ['a number is missing', agents(well, nowMs, { ...calm, gaps: [missing] }), [], [100, 200], 'network'],
  [
    'a number is missing of another table',
    agents(well, nowMs, { ...calm, gaps: [{ ...missing, table: 'x' }] }),
    [],
    [100, 200],
    'sensor',
  ],
  [
    'ingest fails since then',
    agents(well, nowMs, { ...calm, troubles: [{ name: 'main.climate', sinceMs: at(120) }] }),
    [],
    [100, 200],
    'network',
  ],
  ['a report that says nothing', agents({ a: 1 }), [], [100, 200], 'network'],
  ['a report that is none', agents('x'), [], [100, 200], 'network'],
  ['an agent without a report', agents(well, nowMs, calm, ['hall', 'yard']), [], [100, 200], 'network'],
  ['losses of that time', agents(), [loss], [100, 200], 'agent'],
  ['losses of another time', agents(), [loss], [110, 200], 'sensor'],
  ['losses of another agent', agents(), [{ ...loss, agent: 'yard' }], [100, 200], 'sensor'],
  [
    'no broker since then',
    agents({ ...well, sources: { plant: { connected: false, since: new Date(at(90)).toISOString() } } }),
    [],
    [100, 200],
    'agent',
  ],
  [
    'no broker since later',
    agents({ ...well, sources: { plant: { connected: false, since: new Date(at(300)).toISOString() } } }),
    [],
    [100, 200],
    'sensor',
  ],
  ['started in it', agents({ ...well, uptime_seconds: 450 * 60 }), [], [100, 200], 'agent'],
  ['started after it', agents({ ...well, uptime_seconds: 60 }), [], [100, 200], 'sensor'],
];
for (const [what, known, losses, [from, to], cause] of cases)
  test(`a hole is the ${cause}'s: ${what}`, () => {
    const verdict = judgeGap({ fromMs: at(from), toMs: at(to) }, known, losses, nowMs);
    assert.equal(verdict.cause, cause, verdict.reason);
  });

test('a table is complete as far as the last of its agents', () => {
  assert.equal(completeUntilMs(agents()), nowMs - 10_000);
  assert.equal(completeUntilMs(agents({ ...well, oldest_unshipped_seconds: 3_600 })), at(540));
  assert.equal(completeUntilMs(agents(well, nowMs, calm, ['hall', 'yard'])), undefined);
  assert.equal(completeUntilMs(agents(well, nowMs, { ...calm, waiting: 5_000 })), undefined);
  assert.equal(completeUntilMs(agents(well, nowMs, { ...calm, lastRoundAtMs: undefined })), undefined);
  assert.equal(completeUntilMs(agents(well, nowMs, { ...calm, gaps: [missing] })), at(110) - 10_000);
  const elsewhere = [
    { ...missing, agent: 'yard' },
    { ...missing, table: 'other' },
  ];
  assert.equal(completeUntilMs(agents(well, nowMs, { ...calm, gaps: elsewhere })), nowMs - 10_000);
  assert.equal(completeUntilMs([]), undefined);
});

test('a hole that is open ends where the table is complete, and now where that is long ago or not known', () => {
  assert.equal(openGapEndMs(at(599), nowMs), at(599));
  assert.equal(openGapEndMs(at(400), nowMs), nowMs);
  assert.equal(openGapEndMs(undefined, nowMs), nowMs);
  assert.equal(openGapEndMs(at(601), nowMs), nowMs, 'the clock of the agent goes ahead');
});
