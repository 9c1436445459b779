import type { SlotKind } from '../slot-kind.ts'

/** A value and the time of its observation, in milliseconds. */
export interface Point {
  readonly timeMs: number
  readonly value: number
}

export type SlotValue = number | string

export type Points = readonly Point[]
export type Values = readonly SlotValue[]

/** oldest, newest: up to `size` points, ascending in time. distinct: up to `size` values. Never changed in place. */
export type SlotList = Points | Values

/**
 * What a slot has collected, in one piece. count, sum: number. square_sum: number, a bigint above 2^53. min, max,
 * oldest_time, newest_time: number, null before the first. The others: their list.
 */
export type Accumulator = number | bigint | null | SlotList

/** How a slot is kept: its kind, and how many points or values, 0 for the other kinds. */
export interface SlotShape {
  readonly kind: SlotKind
  readonly size: number
}

const noPoints: Points = []

/** The list of an `oldest` or `newest` slot. The kind says what a list holds, and the compiler cannot see that. */
export function pointsOf(list: SlotList | undefined): Points {
  return (list ?? noPoints) as Points
}

/** The list of a `distinct` slot: see {@link pointsOf}. */
export function valuesOf(list: SlotList | undefined): Values | undefined {
  return list as Values | undefined
}
