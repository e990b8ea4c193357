/** One source, as everything behind the configuration sees it. */
import type { TlsConfig } from '@varve/common/config/pem.js';

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
