/** Where a program listens, as people write it. */

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
