/** The commands of `varve-edge`, by name: what each is for, and where it is. */
import type { DefineCommand } from './command.js';

export interface CommandEntry {
  readonly description: string;
  readonly load: () => Promise<{ readonly define: DefineCommand }>;
}

export const commands: Readonly<Record<string, CommandEntry>> = {
  run: { description: 'Collects until it is stopped.', load: () => import('./run.js') },
  check: {
    description: 'Says whether the configuration is right, and every problem it has.',
    load: () => import('./check.js'),
  },
  test: {
    description: 'Runs the tests beside the configuration: messages in, rows, windows and refusals out.',
    load: () => import('./test.js'),
  },
  tail: { description: 'Shows messages of the running agent.', load: () => import('./tail.js') },
  status: { description: 'Says how the running agent fares.', load: () => import('./status.js') },
  doctor: {
    description: 'Looks at everything in data_dir while the agent is stopped, and says what it found.',
    load: () => import('./doctor.js'),
  },
};
