import { assert } from './errors.ts'
import type { Accumulator, Point, SlotValue } from './slot.ts'
import { secondMs } from './units.ts'

/** How an aggregate's value follows from its slots, merged over the window. Null: there was nothing to aggregate. */
export type AggregateKind =
  | 'count'
  | 'sum'
  | 'mean'
  | 'min'
  | 'max'
  | 'stddev'
  | 'first'
  | 'last'
  | 'distinct'
  | 'rate'
  | 'seconds_since_first'
  | 'seconds_since_last'
  | 'run'

export interface AggregateRule {
  readonly type: 'integer' | 'double'
  readonly nullable: boolean
  /**
   * `cells` says where in `merged` the aggregate's slots stand; `readMs` is the time of the read; `position` counts
   * from the newest (1) for `last`.
   */
  finalize(merged: readonly Accumulator[], cells: readonly number[], readMs: number, position: number): number | null
}

/** mean: slots [sum, count]. rate: [matching, all]. stddev: [square_sum, sum, count]. run: its own fold over tiles. */
export const aggregateRules: Readonly<Record<AggregateKind, AggregateRule>> = {
  count: { type: 'integer', nullable: false, finalize: onlyNumber },
  sum: { type: 'integer', nullable: false, finalize: onlyNumber },
  mean: { type: 'double', nullable: true, finalize: quotient },
  min: { type: 'integer', nullable: true, finalize: only },
  max: { type: 'integer', nullable: true, finalize: only },
  stddev: { type: 'double', nullable: true, finalize: sampleDeviation },
  first: { type: 'integer', nullable: true, finalize: (merged, cells) => pointsAt(merged, cells)[0]?.value ?? null },
  last: {
    type: 'integer',
    nullable: true,
    finalize: (merged, cells, _readMs, position) => pointsAt(merged, cells).at(-position)?.value ?? null,
  },
  distinct: { type: 'integer', nullable: false, finalize: (merged, cells) => listAt<SlotValue>(merged, cells).length },
  rate: { type: 'double', nullable: true, finalize: quotient },
  seconds_since_first: { type: 'double', nullable: true, finalize: secondsSince },
  seconds_since_last: { type: 'double', nullable: true, finalize: secondsSince },
  run: { type: 'integer', nullable: false, finalize: onlyNumber },
}

function only(merged: readonly Accumulator[], cells: readonly number[]): number | null {
  return merged[cells[0] ?? -1] as number | null
}

function onlyNumber(merged: readonly Accumulator[], cells: readonly number[]): number {
  const value = merged[cells[0] ?? -1]
  assert(typeof value === 'number', 'an aggregate has all its slots')
  return value
}

function listAt<Item>(merged: readonly Accumulator[], cells: readonly number[]): readonly Item[] {
  return merged[cells[0] ?? -1] as unknown as readonly Item[]
}

function pointsAt(merged: readonly Accumulator[], cells: readonly number[]): readonly Point[] {
  return listAt<Point>(merged, cells)
}

/** One rounding. */
function quotient(merged: readonly Accumulator[], cells: readonly number[]): number | null {
  const denominator = merged[cells[1] ?? -1] as number
  return denominator === 0 ? null : (merged[cells[0] ?? -1] as number) / denominator
}

/** Never negative: an observation later in the read's own tile is 0 seconds ago. */
function secondsSince(merged: readonly Accumulator[], cells: readonly number[], readMs: number): number | null {
  const timeMs = merged[cells[0] ?? -1] as number | null
  return timeMs === null ? null : Math.max(0, readMs - timeMs) / secondMs
}

/**
 * The sample standard deviation √((n·Σx² − (Σx)²) ÷ (n·(n − 1))), null below two observations. The numerator is an exact
 * integer, rounded once to a double; then one division and one root. So it does not depend on order or grouping, and SQL
 * over 128-bit integers gives the same bits.
 */
export function standardDeviation(count: number, sum: number, squares: number | bigint): number | null {
  if (count < 2) return null
  const plain = typeof squares === 'number' && count * squares <= Number.MAX_SAFE_INTEGER
  const numerator =
    plain && sum * sum <= Number.MAX_SAFE_INTEGER
      ? count * squares - sum * sum
      : Number(BigInt(count) * BigInt(squares) - BigInt(sum) * BigInt(sum))
  return Math.sqrt(numerator / (count * (count - 1)))
}

function sampleDeviation(merged: readonly Accumulator[], cells: readonly number[]): number | null {
  const squares = merged[cells[0] ?? -1] as number | bigint
  return standardDeviation(merged[cells[2] ?? -1] as number, merged[cells[1] ?? -1] as number, squares)
}
