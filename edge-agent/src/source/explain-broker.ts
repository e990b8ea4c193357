/** What it means that a broker does not let us in, and what to do: for `varve-edge check --connect`. */
import type { SourceConfig } from './source-config.js';

export interface BrokerProblem {
  /** Stable. */
  readonly code:
    | 'refused'
    | 'name_unknown'
    | 'no_answer'
    | 'no_route'
    | 'not_authorized'
    | 'certificate'
    | 'closed'
    | 'subscription_refused'
    | 'other';
  readonly message: string;
  readonly hint: string;
}

type Explain = (source: SourceConfig, details: readonly string[]) => Omit<BrokerProblem, 'code'>;

const explanations: Readonly<Record<Exclude<BrokerProblem['code'], 'other'>, Explain>> = {
  refused: ({ brokerName, name }) => ({
    message: `nobody listens on ${brokerName}`,
    hint: `start the broker, or correct host and port in sources.${name}.mqtt; a broker in a container must publish its port`,
  }),
  name_unknown: ({ brokerName, name }) => ({
    message: `the name in ${brokerName} is unknown here`,
    hint: `correct it in sources.${name}.mqtt, write the address instead, or mend this machine's name server`,
  }),
  no_answer: ({ brokerName, name }) => ({
    message: `${brokerName} does not answer within 10 s`,
    hint: `a firewall may drop the packets; or the port in sources.${name}.mqtt is not MQTT's (mqtt 1883, mqtts 8883)`,
  }),
  no_route: ({ brokerName }) => ({
    message: `there is no way to ${brokerName} from here`,
    hint: 'check the network cable, the address of this machine, and its route',
  }),
  not_authorized: ({ brokerName, name, username }, [detail]) => ({
    message: `${brokerName} does not let ${username === undefined ? 'a client without a user name' : `"${username}"`} in: ${detail ?? ''}`,
    hint:
      username === undefined
        ? `write sources.${name}.username and password`
        : `correct sources.${name}.username and password (is the variable set that the password comes from?), or allow them at the broker`,
  }),
  certificate: ({ brokerName, name, tls }, [detail]) => ({
    message: `the certificate of ${brokerName} is not accepted: ${detail ?? ''}`,
    hint:
      tls?.ca === undefined
        ? `write the authority that signed it: sources.${name}.tls.ca: ca.pem; the name in mqtt: must be one of the certificate's`
        : `is sources.${name}.tls.ca the authority that signed it, has it not expired, is this machine's clock right, and is the name in mqtt: one of the certificate's?`,
  }),
  closed: ({ brokerName, name }, [detail]) => ({
    message: `${brokerName}: ${detail ?? 'the connection was closed'}`,
    hint: `is TLS expected there (mqtts:// instead of mqtt://, or the other way round), or a client certificate (sources.${name}.tls)? The broker's own log says why`,
  }),
  subscription_refused: ({ brokerName, name }, filters) => ({
    message: `${brokerName} refuses the subscription to ${filters.join(', ')}`,
    hint: `allow this client to read these topics in the access list of the broker, or correct sources.${name}.topics`,
  }),
};

/** `code` is a reason code of CONNACK (MQTT 5.0 §3.2.2.2, 3.1.1 §3.2.2.3), or of Node. */
export function explainBrokerProblem(
  code: string | number | undefined,
  source: SourceConfig,
  details: readonly string[],
): BrokerProblem {
  const kind = classify(code, details);
  if (kind !== 'other') return { code: kind, ...explanations[kind](source, details) };
  return {
    code: 'other',
    message: `${source.brokerName}: ${details[0] ?? 'no connection'}`,
    hint: 'the broker’s own log says why',
  };
}

const notAuthorizedCodes: readonly (string | number)[] = [4, 5, 134, 135];
const routeCodes: readonly (string | number)[] = ['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN'];

function classify(
  code: string | number | undefined,
  [detail = '']: readonly string[],
): BrokerProblem['code'] {
  if (code === undefined) return /timeout/i.test(detail) ? 'no_answer' : 'other';
  if (code === 'subscription_refused' || code === 'closed') return code;
  if (code === 'ECONNREFUSED') return 'refused';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'name_unknown';
  if (code === 'ETIMEDOUT') return 'no_answer';
  if (code === 'ECONNRESET' || code === 'EPROTO' || String(code).startsWith('ERR_SSL')) return 'closed';
  if (routeCodes.includes(code)) return 'no_route';
  if (notAuthorizedCodes.includes(code)) return 'not_authorized';
  return /CERT|SIGNATURE|ISSUER|CRL/.test(String(code)) ? 'certificate' : 'other';
}
