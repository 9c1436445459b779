import { utcTextOf } from '../../base/utc-text.ts'
import type { FeatureStatus } from './freshness.ts'

/** Each status as JSON. */
export const statusText: Readonly<Record<FeatureStatus, string>> = {
  PRESENT: '"PRESENT"',
  NULL_VALUE: '"NULL_VALUE"',
  NOT_FOUND: '"NOT_FOUND"',
  OUTSIDE_MAX_AGE: '"OUTSIDE_MAX_AGE"',
}

/** A finite number as JSON.stringify writes it, or null. */
export function numberText(value: number | null): string {
  return value === null ? 'null' : String(value)
}

/** A time in milliseconds UTC as JSON. */
export function timeText(ms: number): string {
  return `"${utcTextOf(ms)}"`
}
