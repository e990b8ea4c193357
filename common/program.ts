/**
 * What the two `main.ts` share: exit codes, signals, and how a failure is told to a person.
 *
 * Exit codes (DESIGN §5.1): 0 done; 1 failed; 75 try again later; 78 the configuration is wrong.
 */
import { CommanderError, type Command } from 'commander';
import { Failure, messageOf, type FailureKind } from './errors.js';

/** The parts of `process` that `main.ts` hands on. */
export type Host = Pick<NodeJS.Process, 'argv' | 'env' | 'stdout' | 'stderr' | 'on' | 'off' | 'exit'> & {
  exitCode?: number | string | null | undefined;
};

const exitCodes: Readonly<Record<FailureKind, number>> = {
  config: 78,
  rejected: 1,
  transient: 75,
  conflict: 75,
  corrupt: 1,
};

/** Runs a commander program to its end and sets the exit code. Never throws. */
export async function runProgram(host: Host, program: Command): Promise<void> {
  program.exitOverride().showHelpAfterError(`Try "${program.name()} --help".`);
  for (const command of program.commands) command.exitOverride().showHelpAfterError('Try --help.');
  try {
    await program.parseAsync(host.argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      // 64 (EX_USAGE) would be another code to learn; a wrong command line is a failure like any other.
      host.exitCode = error.exitCode;
      return;
    }
    host.stderr.write(describeError(program.name(), error));
    // After a fault of ours nobody knows what still runs, and whoever restarts us waits for our end.
    if (!(error instanceof Failure)) host.exit(1);
    else host.exitCode = exitCodes[error.kind];
  }
}

function describeError(programName: string, error: unknown): string {
  if (!(error instanceof Failure)) {
    const stack = error instanceof Error && error.stack !== undefined ? error.stack : messageOf(error);
    return `${programName}: this is a fault of ours, please report it: ${stack}\n`;
  }
  const hint = error.hint === undefined ? '' : `\n  what to do: ${error.hint}`;
  return `${programName}: ${error.message}${hint}\n`;
}

/**
 * Aborts on the first SIGINT or SIGTERM, for an orderly stop; a second one ends the process at once, which is safe at
 * any moment: everything acknowledged is durable.
 */
export function stopSignal(host: Host): AbortSignal {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) host.exit(1);
    controller.abort();
  };
  host.on('SIGINT', onSignal);
  host.on('SIGTERM', onSignal);
  return controller.signal;
}
