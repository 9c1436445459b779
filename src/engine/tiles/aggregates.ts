import { doubleAt } from '../../base/arrays.ts'
import { squaresOf } from './cells.ts'
import { secondMs } from '../../base/units.ts'
import type { AggregateKind } from '../aggregate.ts'
import type { WindowCells } from './windows.ts'

/**
 * `cells` says where in the merged windows the aggregate's slots stand: of a mean [sum, count], of a rate [matching,
 * all], of a stddev [square_sum, sum, count]. `readMs` is the time of the read; `position` counts from the newest (1)
 * for `last`.
 */
export function finalize(
  kind: AggregateKind,
  { numbers, highs, points }: WindowCells,
  cells: readonly number[],
  readMs: number,
  position: number,
): number | null {
  const first = cells[0] ?? NaN
  const value = doubleAt(numbers, first)
  switch (kind) {
    case 'count':
    case 'sum':
    case 'distinct':
    case 'run':
      return value
    case 'min':
    case 'max':
      return Number.isNaN(value) ? null : value
    case 'mean':
    case 'rate': {
      const denominator = doubleAt(numbers, cells[1] ?? NaN)
      // One rounding.
      return denominator === 0 ? null : value / denominator
    }
    case 'seconds_since_first':
    case 'seconds_since_last':
      // Never negative: an observation later in the read's own tile is 0 seconds ago.
      return Number.isNaN(value) ? null : Math.max(0, readMs - value) / secondMs
    case 'stddev': {
      const [sum, count] = [doubleAt(numbers, cells[1] ?? NaN), doubleAt(numbers, cells[2] ?? NaN)]
      return standardDeviation(count, sum, squaresOf(value, doubleAt(highs, first)))
    }
    case 'first':
      return points[first]?.[0]?.value ?? null
    case 'last':
      return points[first]?.at(-position)?.value ?? null
  }
}

/**
 * The sample standard deviation √((n·Σx² − (Σx)²) ÷ (n·(n − 1))), null below two observations. The numerator is an
 * exact integer, rounded once to a double; then one division and one root. So it does not depend on order or grouping,
 * and SQL over 128-bit integers gives the same bits.
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
