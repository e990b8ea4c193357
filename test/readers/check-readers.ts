/** Every reader over every state of the table: what is right, and what is wrong. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { differences } from './compare.js';
import { appendWithDeltaRs, findEngines } from './engines.js';
import { makeStates, type LakeState } from './states.js';

export interface EngineVerdict {
  readonly engine: string;
  /** Why it was not asked. */
  readonly missing: string | undefined;
  /** By state, in their order: what is wrong; empty when all is right. None where it was not asked. */
  readonly problems: readonly (readonly string[])[];
}

export interface ReadersReport {
  readonly states: readonly LakeState[];
  readonly engines: readonly EngineVerdict[];
}

export async function checkReaders(note: (line: string) => void): Promise<ReadersReport> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-readers-'));
  try {
    const engines = findEngines();
    const hasDeltaRs = engines.some(({ name, missing }) => name === 'deltalake' && missing === undefined);
    note('making the states of the table');
    const states = await makeStates(folder, hasDeltaRs ? appendWithDeltaRs : undefined);
    const verdicts: EngineVerdict[] = [];
    for (const engine of engines) {
      const { name, missing } = engine;
      note(missing === undefined ? `asking ${name}` : `${name} is not asked: ${missing}`);
      const readings = missing === undefined ? await engine.read(states) : [];
      const problems = readings.map((reading, index) =>
        'error' in reading ? [reading.error] : differences(reading.rows, states[index]?.expected ?? []),
      );
      verdicts.push({ engine: name, missing, problems });
    }
    return { states, engines: verdicts };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
