/**
 * Every bound of ingest (DESIGN I10), with its default. What lies beyond one waits in the inbox for the next round, or
 * is refused by name.
 */

export interface IngestLimits {
  /** Of one listing of the inbox; one lane's excess may come on top. */
  readonly listedKeysMax: number;
  /** Of one lane in one listing, so that a lane that is stuck does not hide the others. */
  readonly listedKeysPerLaneMax: number;
  /** Of the shipments in one commit. One shipment always goes, whatever its size. */
  readonly commitBytesMax: number;
  readonly commitFilesMax: number;
  /** Larger shipments are refused: agents make them far smaller. */
  readonly shipmentBytesMax: number;
  readonly shipmentRowsMax: number;
  /** Shipments passed over per lane and round because they are in quarantine. */
  readonly passedOverMax: number;
  readonly tablesAtOnceMax: number;
  readonly transfersAtOnceMax: number;
  /** Times that a commit is planned anew in one round when somebody else was first. */
  readonly commitTriesMax: number;
}

export const defaultIngestLimits: IngestLimits = {
  listedKeysMax: 10_000,
  listedKeysPerLaneMax: 1_000,
  commitBytesMax: 64 * 2 ** 20,
  commitFilesMax: 500,
  shipmentBytesMax: 256 * 2 ** 20,
  shipmentRowsMax: 20_000_000,
  passedOverMax: 100,
  tablesAtOnceMax: 4,
  transfersAtOnceMax: 8,
  commitTriesMax: 5,
};
