/**
 * Types of columns as answers name them: Arrow's names, so that JSON says the same as the binary formats.
 */
import {
  DuckDBArrayType,
  DuckDBDecimalType,
  DuckDBListType,
  DuckDBMapType,
  DuckDBStructType,
  DuckDBTypeId,
  DuckDBUnionType,
  type DuckDBType,
} from '@duckdb/node-api';

const plainNames: Readonly<Partial<Record<DuckDBTypeId, string>>> = {
  [DuckDBTypeId.BOOLEAN]: 'bool',
  [DuckDBTypeId.TINYINT]: 'int8',
  [DuckDBTypeId.SMALLINT]: 'int16',
  [DuckDBTypeId.INTEGER]: 'int32',
  [DuckDBTypeId.BIGINT]: 'int64',
  [DuckDBTypeId.HUGEINT]: 'int128',
  [DuckDBTypeId.UTINYINT]: 'uint8',
  [DuckDBTypeId.USMALLINT]: 'uint16',
  [DuckDBTypeId.UINTEGER]: 'uint32',
  [DuckDBTypeId.UBIGINT]: 'uint64',
  [DuckDBTypeId.UHUGEINT]: 'uint128',
  [DuckDBTypeId.BIGNUM]: 'bignum',
  [DuckDBTypeId.FLOAT]: 'float',
  [DuckDBTypeId.DOUBLE]: 'double',
  [DuckDBTypeId.TIMESTAMP]: 'timestamp[us]',
  [DuckDBTypeId.TIMESTAMP_S]: 'timestamp[s]',
  [DuckDBTypeId.TIMESTAMP_MS]: 'timestamp[ms]',
  [DuckDBTypeId.TIMESTAMP_NS]: 'timestamp[ns]',
  [DuckDBTypeId.TIMESTAMP_TZ]: 'timestamp[us, UTC]',
  [DuckDBTypeId.DATE]: 'date',
  [DuckDBTypeId.TIME]: 'time[us]',
  [DuckDBTypeId.TIME_NS]: 'time[ns]',
  [DuckDBTypeId.TIME_TZ]: 'time[us, offset]',
  [DuckDBTypeId.INTERVAL]: 'interval',
  [DuckDBTypeId.VARCHAR]: 'string',
  [DuckDBTypeId.ENUM]: 'string',
  [DuckDBTypeId.BLOB]: 'binary',
  [DuckDBTypeId.UUID]: 'uuid',
  [DuckDBTypeId.BIT]: 'bit',
  [DuckDBTypeId.SQLNULL]: 'null',
};

export function typeName(type: DuckDBType): string {
  if (type instanceof DuckDBDecimalType) return `decimal(${type.width}, ${type.scale})`;
  if (type instanceof DuckDBListType) return `list<${typeName(type.valueType)}>`;
  if (type instanceof DuckDBArrayType) return `list<${typeName(type.valueType)}>[${type.length}]`;
  if (type instanceof DuckDBMapType) return `map<${typeName(type.keyType)}, ${typeName(type.valueType)}>`;
  if (type instanceof DuckDBStructType) return `struct<${membersText(type.entryNames, type.entryTypes)}>`;
  if (type instanceof DuckDBUnionType) return `union<${membersText(type.memberTags, type.memberTypes)}>`;
  return plainNames[type.typeId] ?? type.toString().toLowerCase();
}

function membersText(names: readonly string[], types: readonly DuckDBType[]): string {
  return types.map((type, index) => `${names[index] ?? ''}: ${typeName(type)}`).join(', ');
}
