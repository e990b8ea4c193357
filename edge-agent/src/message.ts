/** What a source receives: one MQTT message and when it came. */
export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Wall clock at arrival, milliseconds since 1970 UTC. */
  readonly arrivedMs: number;
  /** MQTT's packet identifier, 1 to 65,535, by which a redelivery is recognised; 0 at QoS 0, which has none. */
  readonly packetId: number;
}

/** A message as a block of the log gives it back. */
export interface BlockMessage extends Message {
  /** The time of a row without one of its own, µs since 1970 UTC: `arrivedMs`, told apart within the millisecond. */
  readonly arrivedUs: number;
}

/** A message as the log keeps it: with its place in the one durable order of the agent. */
export interface LoggedMessage extends BlockMessage {
  /** Counts every message this epoch has acknowledged, from 1, without gaps. */
  readonly seq: number;
  readonly source: string;
  /** Absent: every stream whose topic matches. */
  readonly streams?: StreamChoice | undefined;
}

/** Which streams a message is for, among those whose topic matches (`log/stream-choices.ts`). */
export interface StreamChoice {
  /** Absent: any. */
  readonly onlyFor?: readonly string[];
  readonly notFor?: readonly string[] | 'all';
}
