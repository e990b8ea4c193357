/** One source, as everything behind the configuration sees it. */
import { readFileSync } from 'node:fs';

export interface SourceConfig {
  readonly name: string;
  /** With user name and password, if it has them: never log it, log `brokerName`. */
  readonly url: string;
  readonly brokerName: string;
  readonly topics: readonly string[];
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly keepaliveSeconds: number;
  readonly sessionExpirySeconds: number;
  /** How many unacknowledged QoS 1 messages the broker may send (MQTT 5, §3.1.2.11.3). */
  readonly receiveMaximum: number;
  /** Absent: the system's authorities, and no certificate of ours. */
  readonly tls?: TlsConfig | undefined;
}

/** Each a PEM text, or the absolute path of a file with one; files are read for every connection, so they may be renewed. */
export interface TlsConfig {
  /** Authorities that the broker's certificate may come from. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  /** A secret: never log it. */
  readonly key: string | undefined;
}

export function isPem(text: string): boolean {
  return text.includes('-----BEGIN ');
}

/** @throws an error of the file system */
export function readPem(written: string): string {
  return isPem(written) ? written : readFileSync(written, 'utf8');
}
