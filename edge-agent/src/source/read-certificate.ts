/** What certificate a broker shows. Looks at it even where it is not trusted: nothing is sent over that connection. */
import { isIP } from 'node:net';
import { connect, type PeerCertificate } from 'node:tls';
import { systemCodeOf } from '@varve/common/errors.js';
import { readTls } from './mqtt-connection.js';
import type { SourceConfig } from './source-config.js';

export interface CertificateFacts {
  readonly subject: string;
  readonly names: string;
  readonly issuer: string;
  /** ISO 8601. */
  readonly expires: string;
  readonly trusted: boolean;
  /** OpenSSL's code, such as `SELF_SIGNED_CERT_IN_CHAIN`. */
  readonly problem: string | null;
}

/** Undefined where the broker cannot be reached, or does not speak TLS. */
export async function readCertificate(
  source: SourceConfig,
  timeoutMs: number,
): Promise<CertificateFacts | undefined> {
  const { hostname, port, protocol } = new URL(source.url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = connect({
    host,
    port: Number(port) || (protocol === 'wss:' ? 443 : 8883),
    ...(isIP(host) === 0 && { servername: host }),
    ...readTls(source.tls),
    // For this look alone: the connection that carries messages refuses what is not trusted.
    rejectUnauthorized: false,
    timeout: timeoutMs,
  });
  try {
    const isSecure = await new Promise<boolean>((resolve) => {
      socket.once('secureConnect', () => resolve(true));
      for (const event of ['error', 'timeout', 'close']) socket.once(event, () => resolve(false));
    });
    if (!isSecure) return undefined;
    const error: unknown = socket.authorizationError;
    const problem = socket.authorized ? null : (systemCodeOf(error) ?? String(error));
    return describe(socket.getPeerCertificate(), problem);
  } finally {
    socket.destroy();
  }
}

function describe(certificate: PeerCertificate, problem: string | null): CertificateFacts {
  const nameOf = (subject: PeerCertificate['subject'] | undefined) => {
    const name: unknown = subject?.CN ?? subject?.O;
    return Array.isArray(name) ? name.join(', ') : typeof name === 'string' ? name : '(no name)';
  };
  return {
    subject: nameOf(certificate.subject),
    names: certificate.subjectaltname ?? '',
    issuer: nameOf(certificate.issuer),
    expires: new Date(certificate.valid_to).toISOString(),
    trusted: problem === null,
    problem,
  };
}
