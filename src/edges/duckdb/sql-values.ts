import {
  DuckDBArrayType,
  DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBListType,
  DuckDBListValue,
  DuckDBMapType,
  DuckDBMapValue,
  DuckDBStructType,
  DuckDBStructValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTypeId,
} from '@duckdb/node-api'
import type { DuckDBType, DuckDBValue } from '@duckdb/node-api'
import { RiverbankError } from '../../base/errors.ts'
import type { JsonType } from '../../ports/sql.ts'

/** The JSON form of the values of one type. */
export interface JsonForm {
  readonly json: JsonType
  /**
   * Converts one value; NULL is null in every form. Errors: `sql_invalid`, for an integer that a JSON number cannot
   * hold.
   */
  of(value: DuckDBValue): unknown
}

const numbers: ReadonlySet<DuckDBTypeId> = new Set([
  ...[DuckDBTypeId.TINYINT, DuckDBTypeId.SMALLINT, DuckDBTypeId.INTEGER, DuckDBTypeId.BIGINT, DuckDBTypeId.HUGEINT],
  ...[DuckDBTypeId.UTINYINT, DuckDBTypeId.USMALLINT, DuckDBTypeId.UINTEGER, DuckDBTypeId.FLOAT, DuckDBTypeId.DOUBLE],
])

/** The form of a type, whatever the values: see SqlResult in ports/sql.ts. `column` is for the error message. */
export function jsonForm(type: DuckDBType, column: string): JsonForm {
  if (type instanceof DuckDBListType || type instanceof DuckDBArrayType) {
    const inner = jsonForm(type.valueType, column)
    return formOf('array', (value) => (isList(value) ? value.items.map((item) => inner.of(item)) : String(value)))
  }
  if (type instanceof DuckDBStructType) {
    const inner = new Map(type.entryNames.map((name, i) => [name, jsonForm(typeAt(type.entryTypes, i), column)]))
    return formOf('object', (value) =>
      value instanceof DuckDBStructValue
        ? Object.fromEntries(Object.entries(value.entries).map(([name, held]) => [name, inner.get(name)?.of(held)]))
        : String(value),
    )
  }
  if (type instanceof DuckDBMapType) {
    const [key, held] = [jsonForm(type.keyType, column), jsonForm(type.valueType, column)]
    return formOf('array', (value) =>
      value instanceof DuckDBMapValue ? value.entries.map((entry) => [key.of(entry.key), held.of(entry.value)]) : null,
    )
  }
  if (type.typeId === DuckDBTypeId.BOOLEAN) return formOf('boolean', (value) => value)
  if (numbers.has(type.typeId)) return formOf('number', (value) => numberOf(value, column))
  return formOf('string', textOf)
}

function formOf(json: JsonType, of: (value: DuckDBValue) => unknown): JsonForm {
  return { json, of: (value) => (value === null ? null : of(value)) }
}

function typeAt(types: readonly DuckDBType[], at: number): DuckDBType {
  const type = types[at]
  if (type === undefined) throw new RiverbankError('sql_failed', 'a struct has more names than types')
  return type
}

function isList(value: DuckDBValue): value is DuckDBListValue | DuckDBArrayValue {
  return value instanceof DuckDBListValue || value instanceof DuckDBArrayValue
}

/** JSON has no word for NaN and the infinities: they are text. */
function numberOf(value: DuckDBValue, column: string): number | string {
  const number = Number(value)
  if (typeof value !== 'bigint') return Number.isFinite(number) ? number : String(number)
  if (Number.isSafeInteger(number)) return number
  const cast = 'cast it to VARCHAR to get all digits, or to DOUBLE to get them rounded'
  throw new RiverbankError('sql_invalid', `column "${column}" holds ${value}, beyond what JSON numbers carry: ${cast}`)
}

function textOf(value: DuckDBValue): string {
  if (value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue) return isoTime(value.micros)
  if (value instanceof DuckDBTimestampMillisecondsValue) return isoTime(value.millis * 1000n)
  if (value instanceof DuckDBTimestampSecondsValue) return isoTime(value.seconds * 1_000_000n)
  if (value instanceof DuckDBTimestampNanosecondsValue) return isoTime(value.nanos / 1000n)
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString('base64')
  return String(value)
}

const maxDateMs = 8_640_000_000_000_000

/** ISO 8601 in UTC with milliseconds, or microseconds if there are any; DuckDB's text beyond the range of a Date. */
function isoTime(micros: bigint): string {
  const rest = ((micros % 1000n) + 1000n) % 1000n
  const ms = Number((micros - rest) / 1000n)
  if (Math.abs(ms) > maxDateMs) return new DuckDBTimestampValue(micros).toString()
  const text = new Date(ms).toISOString()
  return rest === 0n ? text : `${text.slice(0, -1)}${String(rest).padStart(3, '0')}Z`
}
