/**
 * Numbers of fields and of kinds, as parquet.thrift gives them (parquet-format, src/main/thrift/parquet.thrift).
 */
export const fileMetaData = {
  version: 1,
  schema: 2,
  rowCount: 3,
  rowGroups: 4,
  createdBy: 6,
  columnOrders: 7,
  encryption: 8,
} as const;
export const schemaElement = {
  type: 1,
  repetition: 3,
  name: 4,
  childCount: 5,
  convertedType: 6,
  logicalType: 10,
} as const;
export const rowGroup = { columns: 1, byteSize: 2, rowCount: 3, compressedSize: 6 } as const;
export const columnChunk = { filePath: 1, fileOffset: 2, metadata: 3, crypto: 8, encrypted: 9 } as const;
export const columnMetaData = {
  uncompressedSize: 6,
  compressedSize: 7,
  dataPageOffset: 9,
  indexPageOffset: 10,
  dictionaryPageOffset: 11,
  statistics: 12,
} as const;
export const statistics = { maxValue: 5, minValue: 6 } as const;

export const physicalType = { int64: 2, byteArray: 6 } as const;
/** `FieldRepetitionType`. */
export const repeated = 2;
export const convertedType = { utf8: 0, timestampMicros: 10 } as const;
export const logicalType = { string: 1, timestamp: 8 } as const;
export const timestampType = { isAdjustedToUtc: 1, unit: 2 } as const;
/** Of `TimeUnit`. */
export const microseconds = 2;
/** Of `ColumnOrder`. */
export const typeDefinedOrder = 1;
