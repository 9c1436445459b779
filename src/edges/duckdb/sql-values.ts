import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
} from '@duckdb/node-api'
import type { DuckDBValue } from '@duckdb/node-api'

/** A value as JSON can carry it; see SqlResult in ports.ts. */
export function toJson(value: DuckDBValue): unknown {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value === 'bigint') return integer(value)
  if (value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue) return isoTime(value.micros)
  if (value instanceof DuckDBTimestampMillisecondsValue) return isoTime(value.millis * 1000n)
  if (value instanceof DuckDBTimestampSecondsValue) return isoTime(value.seconds * 1_000_000n)
  if (value instanceof DuckDBTimestampNanosecondsValue) return isoTime(value.nanos / 1000n)
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString('base64')
  if (value instanceof DuckDBDecimalValue) return value.toString()
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) return value.items.map(toJson)
  if (value instanceof DuckDBStructValue) {
    return Object.fromEntries(Object.entries(value.entries).map(([key, inner]) => [key, toJson(inner)]))
  }
  if (value instanceof DuckDBMapValue) return value.entries.map(({ key, value: inner }) => [toJson(key), toJson(inner)])
  return String(value)
}

function integer(value: bigint): number | string {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value.toString()
}

const maxDateMs = 8_640_000_000_000_000

/** ISO 8601 in UTC: milliseconds, or microseconds where there are any; as text beyond what a Date can say. */
function isoTime(micros: bigint): string {
  const rest = ((micros % 1000n) + 1000n) % 1000n
  const ms = Number((micros - rest) / 1000n)
  if (Math.abs(ms) > maxDateMs) return new DuckDBTimestampValue(micros).toString()
  const text = new Date(ms).toISOString()
  return rest === 0n ? text : `${text.slice(0, -1)}${String(rest).padStart(3, '0')}Z`
}
