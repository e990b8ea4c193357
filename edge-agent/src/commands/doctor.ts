/** `varve-edge doctor` */
import { systemClock } from '@varve/common/clock.js';
import { readEdgeConfig } from '../config.js';
import { examine } from '../doctor/doctor.js';
import { describeDiagnosis, hasProblems } from '../doctor/finding.js';
import {
  addConfigOptions,
  addExamples,
  sourceOf,
  type ConfigOptions,
  type DefineCommand,
} from './command.js';

export const define: DefineCommand = (command, context) => {
  const { host } = context;
  addExamples(addConfigOptions(command), '--config edge.yaml')
    .option('--repair', 'salvages a damaged database, as the next start would')
    .option('--json', 'for programs')
    .action(async (options: ConfigOptions & { repair?: true; json?: true }) => {
      const config = await readEdgeConfig(sourceOf(options, context));
      const diagnosis = examine({ config, clock: systemClock, isRepair: options.repair ?? false });
      host.stdout.write(options.json ? `${JSON.stringify(diagnosis)}\n` : describeDiagnosis(diagnosis));
      if (hasProblems(diagnosis)) host.exitCode = 1;
    });
};
