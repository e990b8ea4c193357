/**
 * Structured logs: JSON lines when piped, coloured lines on a terminal. Secrets are cut out by name before a line is
 * written, and URLs lose their user part where they enter the configuration.
 */
import { pino, type Logger } from 'pino';

export type { Logger };

const secretPaths = [
  'password',
  'secret',
  'token',
  'authorization',
  'credentials',
  'secretAccessKey',
].flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

export interface LogOptions {
  readonly program: string;
  readonly level: string;
  /** Where lines go; standard error, so that standard output stays for answers. */
  readonly stream: NodeJS.WriteStream;
}

export async function createLogger({ program, level, stream }: LogOptions): Promise<Logger> {
  const options = {
    name: program,
    level,
    base: { name: program },
    redact: { paths: secretPaths, censor: '[secret]' },
  };
  if (!stream.isTTY) return pino(options, stream);
  // Only where a person looks: it takes 2 MB.
  const { PinoPretty } = await import('pino-pretty');
  return pino(
    options,
    PinoPretty({ destination: stream, translateTime: 'HH:MM:ss', ignore: 'name', sync: true }),
  );
}

export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}
