import type { SlotKind } from '../slot-kind.ts'

/*
 * Numbers of slots, side by side in an array of doubles: `cells[at]` is a slot's first cell. NaN is "none so far", of a
 * min, a max and a time. A sum of squares takes two cells: low + high · 2^53, exact below 2^106. That is as far as sums
 * are: Σx² ≤ (Σ|x|)², and a sum is exact while Σ|x| is below 2^53.
 */
export const limb = 2 ** 53
const bigLimb = 2n ** 53n

/** A cell that is there. Only for cells, which are doubles side by side: V8 compiles this function for nothing else. */
export function cellAt(cells: readonly number[], at: number): number {
  return cells[at] ?? outside(at)
}

function outside(at: number): never {
  throw new Error(`there is no cell ${at}`)
}

export function cellsOf(kind: SlotKind): number {
  switch (kind) {
    case 'square_sum':
      return 2
    case 'oldest':
    case 'newest':
      return 0
    default:
      return 1
  }
}

/** What every cell of a kind holds before the first value. */
export function emptyCell(kind: SlotKind): number {
  return kind === 'count' || kind === 'sum' || kind === 'square_sum' ? 0 : NaN
}

/** Adds one value, observed at `timeMs`. */
export function addToCell(kind: SlotKind, cells: number[], at: number, value: number, timeMs: number): void {
  const found = cellAt(cells, at)
  switch (kind) {
    case 'count':
      cells[at] = found + 1
      return
    case 'sum':
      cells[at] = found + value
      return
    case 'square_sum':
      addSquare(cells, at, value)
      return
    // A comparison with NaN is false: a first value is taken.
    case 'min':
      if (!(found <= value)) cells[at] = value
      return
    case 'max':
      if (!(found >= value)) cells[at] = value
      return
    case 'oldest_time':
      if (!(found <= timeMs)) cells[at] = timeMs
      return
    case 'newest_time':
      if (!(found >= timeMs)) cells[at] = timeMs
      return
    case 'oldest':
    case 'newest':
    case 'distinct':
      throw new Error(`${kind} is no number`)
  }
}

function addSquare(cells: number[], at: number, value: number): void {
  const square = value * value
  if (square <= Number.MAX_SAFE_INTEGER) addLimbs(cells, at, square, 0)
  else addLimbs(cells, at, ...limbsOf(BigInt(value) * BigInt(value)))
}

function addLimbs(cells: number[], at: number, low: number, high: number): void {
  const [ownLow, ownHigh] = [cellAt(cells, at), cellAt(cells, at + 1)]
  const room = limb - low
  const carries = ownLow >= room
  cells[at] = carries ? ownLow - room : ownLow + low
  cells[at + 1] = ownHigh + high + (carries ? 1 : 0)
}

/** Merges what another row has collected. In any order: all kinds that have cells are commutative. */
export function mergeCell(
  kind: SlotKind,
  cells: number[],
  at: number,
  others: readonly number[],
  otherAt: number,
): void {
  const other = cellAt(others, otherAt)
  switch (kind) {
    case 'count':
    case 'sum':
      cells[at] = cellAt(cells, at) + other
      return
    case 'square_sum':
      addLimbs(cells, at, other, cellAt(others, otherAt + 1))
      return
    default:
      if (!Number.isNaN(other)) addToCell(kind, cells, at, other, other)
  }
}

function limbsOf(value: bigint): [low: number, high: number] {
  return [Number(value % bigLimb), Number(value / bigLimb)]
}

/** A sum of squares in one piece: a bigint above 2^53 only. */
export function squaresOf(low: number, high: number): number | bigint {
  return high === 0 ? low : BigInt(high) * bigLimb + BigInt(low)
}

export function numberIn(kind: SlotKind, cells: readonly number[], at: number): number | bigint | null {
  const value = cellAt(cells, at)
  if (kind === 'square_sum') return squaresOf(value, cellAt(cells, at + 1))
  return Number.isNaN(value) ? null : value
}

export function putNumber(kind: SlotKind, cells: number[], at: number, value: number | bigint | null): void {
  if (kind !== 'square_sum') {
    cells[at] = value === null ? NaN : Number(value)
    return
  }
  const [low, high] = typeof value === 'bigint' ? limbsOf(value) : [value ?? 0, 0]
  cells[at] = low
  cells[at + 1] = high
}
