/** `varve-edge test` */
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '@varve/common/errors.js';
import { readEdgeConfig } from '../config.js';
import { compareOutcome } from '../config-test/compare.js';
import { outcomeOf } from '../config-test/outcome.js';
import { isTestFile, readTestFile } from '../config-test/test-file.js';
import {
  addConfigOptions,
  addExamples,
  sourceOf,
  type ConfigOptions,
  type DefineCommand,
} from './command.js';

interface TestResult {
  readonly file: string;
  readonly name: string;
  /** Undefined where it is as expected. */
  readonly difference?: string | undefined;
}

export const define: DefineCommand = (command, context) => {
  const { host } = context;
  addExamples(
    addConfigOptions(command.argument('[files...]', 'absent: every *.test.yaml beside the configuration')),
    '--config edge.yaml',
    'pressure.test.yaml --config edge.yaml',
  )
    .option('--json', 'for programs')
    .action(async (files: readonly string[], options: ConfigOptions & { json?: true }) => {
      const { streams } = await readEdgeConfig(sourceOf(options, context));
      const results: TestResult[] = [];
      for (const file of files.length > 0 ? files : await findTestFiles(options.config))
        for (const test of await readTestFile({ path: file, assignments: [], env: host.env }))
          results.push({ file, name: test.name, difference: compareOutcome(test, outcomeOf(streams, test)) });
      host.stdout.write(options.json ? `${JSON.stringify(toJson(results))}\n` : describe(results));
      if (results.some(({ difference }) => difference !== undefined)) host.exitCode = 1;
    });
};

async function findTestFiles(configPath: string): Promise<string[]> {
  const folder = dirname(configPath);
  const found = (await readdir(folder)).filter(isTestFile).sort();
  if (found.length > 0) return found.map((name) => join(folder, name));
  throw new Failure('config_unreadable', `there is no *.test.yaml beside ${configPath}`, {
    hint: 'write edge.test.yaml with tests: - { name: …, messages: [{ topic: …, json: … }], rows: { table: [{ … }] } }',
  });
}

function toJson(results: readonly TestResult[]) {
  const failed = results.filter(({ difference }) => difference !== undefined).length;
  return {
    passed: results.length - failed,
    failed,
    tests: results.map(({ file, name, difference }) => ({
      ...{ file, name, passed: difference === undefined },
      ...(difference === undefined ? {} : { difference }),
    })),
  };
}

function describe(results: readonly TestResult[]): string {
  const lines = results.map(({ file, name, difference }) =>
    difference === undefined ? `ok    ${name}\n` : `WRONG ${name} (${file})\n${indent(difference)}`,
  );
  const { passed, failed } = toJson(results);
  return `${lines.join('')}${passed + failed} tests: ${passed} right, ${failed} wrong\n`;
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '      ');
}
