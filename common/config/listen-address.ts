/** Where a program listens, as people write it. */
import { Failure, messageOf, systemCodeOf } from '../errors.js';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:8182`, `[::1]:8182`; port 0 takes any free one. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, bracketed, plain, portText] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text.trim()) ?? [];
  const host = bracketed ?? plain;
  const port = Number(portText);
  return host === undefined || !(port <= 65_535) ? undefined : { host, port };
}

export function formatListenAddress({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Failure `port_taken`, or `config_invalid` where nobody could listen; both name `option`. */
export function explainListenError(error: unknown, address: ListenAddress, option: string): Failure {
  const where = formatListenAddress(address);
  if (systemCodeOf(error) === 'EADDRINUSE')
    return new Failure('port_taken', `${where} is taken by another program`, {
      cause: error,
      hint: `stop that program, or choose another port with ${option}`,
    });
  return new Failure('config_invalid', `cannot listen on ${where}: ${messageOf(error)}`, {
    cause: error,
    hint: `choose another address with ${option}`,
  });
}
