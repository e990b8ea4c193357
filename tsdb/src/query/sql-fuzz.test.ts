/**
 * Thousands of statements that somebody might try, made by spoiling good and bad ones token by token: each is answered, or
 * refused with a reason that is the client's; nothing else fails, and no file but the tables' is read.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { QueryFixture } from './query.test.fixture.js';
import { renderAnswer } from './render-answer.js';
import { spoiledStatements } from './spoiled-statements.test.fixture.js';

const runs = Number(process.env['VARVE_FUZZ_RUNS'] ?? 5_000);
const seed = Number(process.env['VARVE_FUZZ_SEED'] ?? Date.now() % 1e9);
const secret = 'canary-7f3a';

let fixture: QueryFixture;
let secretPath = '';
before(async () => {
  fixture = await QueryFixture.open();
  await fixture.put({
    table: 'environment',
    tags: ['device'],
    fields: { temperature: 'double' },
    files: [
      `select timestamptz '2026-01-01' + to_minutes(i) as time, 'dev' as device, i::double as temperature,
       date '2026-01-01' as day from range(5) r(i)`,
    ],
  });
  await fixture.startEngine();
  secretPath = join(fixture.folder, 'secret.csv');
  await writeFile(secretPath, `a\n${secret}\n`);
});
after(async () => {
  await fixture.close();
});

async function answerOf(sql: string): Promise<string> {
  const answer = await fixture.engine.query(
    { sql, rowsMax: 20, timeoutMs: 2_000 },
    new AbortController().signal,
  );
  let text = '';
  for await (const piece of renderAnswer(answer)) text += Buffer.from(piece).toString();
  return text;
}

test(`${runs} spoiled statements (seed ${seed})`, async () => {
  const outcomes = new Map<string, number>();
  const count = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  for (const sql of spoiledStatements({ runs, seed, secretPath }))
    try {
      const text = await answerOf(sql);
      assert.ok(
        !text.includes(secret) && !text.includes('root:'),
        `a file was read by ${JSON.stringify(sql)}`,
      );
      count('answered');
    } catch (error) {
      if (!isFailure(error)) throw new Error(`failed by ${JSON.stringify(sql)}`, { cause: error });
      assert.ok(
        error.status < 500 || error.code === 'query_timeout',
        `${error.code} by ${JSON.stringify(sql)}`,
      );
      count(error.code);
    }
  assert.ok((outcomes.get('answered') ?? 0) > runs / 100, JSON.stringify([...outcomes]));
  assert.match(await answerOf('select count(*) from environment'), /\[\[5\]\]/);
});
