/**
 * A slot is the part of an aggregate that tiles hold; several aggregates share one (a mean is a sum and a count). Each
 * kind is an algebra over its accumulator: `update` adds one prepared value, `merge` joins what was collected earlier
 * with what was collected later (by sequence number), `fold` merges the rows of a column into what is newer than they.
 * Accumulators are never changed in place. Sums are over integers, so neither order nor grouping can change a bit.
 */
export type SlotKind =
  'count' | 'sum' | 'square_sum' | 'min' | 'max' | 'oldest_time' | 'newest_time' | 'oldest' | 'newest' | 'distinct'

/** A value and the time of its observation, in milliseconds. */
export interface Point {
  readonly timeMs: number
  readonly value: number
}

export type SlotValue = number | string

/**
 * count, sum: number. square_sum: number, a bigint above 2^53. min, max, oldest_time, newest_time: number, null before the
 * first. oldest, newest: at most `size` points, ascending in time. distinct: at most `size` values, in the order of their
 * first observation; with `size` values it says "at least so many".
 */
export type Accumulator = number | bigint | null | readonly Point[] | readonly SlotValue[]

export interface SlotAlgebra<A extends Accumulator = Accumulator> {
  readonly empty: A
  update(accumulator: A, value: SlotValue, timeMs: number): A
  merge(earlier: A, later: A): A
  /** Rows `from` ≤ row < `to` of a column, merged into what is newer. */
  fold(column: readonly A[], from: number, to: number, newer: A): A
}

/** `size`: how many points or values are kept; 0 for the other kinds. */
export function slotAlgebra(kind: SlotKind, size: number): SlotAlgebra {
  switch (kind) {
    case 'oldest':
      return points((merged) => (merged.length <= size ? merged : merged.slice(0, size)))
    case 'newest':
      return points((merged) => (merged.length <= size ? merged : merged.slice(merged.length - size)))
    case 'distinct':
      return distinct(size)
    default:
      return scalars[kind]
  }
}

const count: SlotAlgebra<number> = {
  empty: 0,
  update: (total) => total + 1,
  merge: (earlier, later) => earlier + later,
  fold: foldSum,
}

const sum: SlotAlgebra<number> = { ...count, update: (total, value) => total + (value as number) }

function foldSum(column: readonly number[], from: number, to: number, newer: number): number {
  let total = newer
  for (let row = from; row < to; row += 1) total += column[row] as number
  return total
}

/** Exact beyond 2^53: a sum of squares of amounts reaches it. Canonical: a bigint is never a safe number. */
const squareSum: SlotAlgebra<number | bigint> = {
  empty: 0,
  update(total, value) {
    const square = (value as number) * (value as number)
    return addExactly(total, square <= Number.MAX_SAFE_INTEGER ? square : BigInt(value) * BigInt(value))
  },
  merge: addExactly,
  fold(column, from, to, newer) {
    let total = newer
    for (let row = from; row < to; row += 1) {
      const squares = column[row] as number | bigint
      // Most often plain numbers: spelled out, because this is where the hot path spends its time.
      const plain = typeof total === 'number' && typeof squares === 'number' ? total + squares : Infinity
      total = plain <= Number.MAX_SAFE_INTEGER ? plain : addExactly(total, squares)
    }
    return total
  },
}

function addExactly(a: number | bigint, b: number | bigint): number | bigint {
  if (typeof a === 'number' && typeof b === 'number') {
    const total = a + b
    if (total <= Number.MAX_SAFE_INTEGER) return total
  }
  return BigInt(a) + BigInt(b)
}

const least: SlotAlgebra<number | null> = {
  empty: null,
  update: (found, value) => lesser(found, value as number),
  merge: lesser,
  fold(column, from, to, newer) {
    let found = newer
    for (let row = from; row < to; row += 1) {
      const value = column[row] as number | null
      if (value !== null && (found === null || value < found)) found = value
    }
    return found
  },
}

const greatest: SlotAlgebra<number | null> = {
  empty: null,
  update: (found, value) => greater(found, value as number),
  merge: greater,
  fold(column, from, to, newer) {
    let found = newer
    for (let row = from; row < to; row += 1) {
      const value = column[row] as number | null
      if (value !== null && (found === null || value > found)) found = value
    }
    return found
  },
}

function lesser(a: number | null, b: number | null): number | null {
  return a === null || (b !== null && b < a) ? b : a
}

function greater(a: number | null, b: number | null): number | null {
  return a === null || (b !== null && b > a) ? b : a
}

/** Rows are in the order of time: the first one that has a time has the oldest. */
const oldestTime: SlotAlgebra<number | null> = {
  empty: null,
  update: (found, _value, timeMs) => lesser(found, timeMs),
  merge: lesser,
  fold(column, from, to, newer) {
    for (let row = from; row < to; row += 1) if (column[row] !== null) return column[row] as number
    return newer
  },
}

/** Rows are in the order of time: the last one that has a time has the newest. */
const newestTime: SlotAlgebra<number | null> = {
  empty: null,
  update: (found, _value, timeMs) => greater(found, timeMs),
  merge: greater,
  fold(column, from, to, newer) {
    if (newer !== null) return newer
    for (let row = to - 1; row >= from; row -= 1) if (column[row] !== null) return column[row] as number
    return null
  },
}

const scalars = {
  count,
  sum,
  square_sum: squareSum,
  min: least,
  max: greatest,
  oldest_time: oldestTime,
  newest_time: newestTime,
}

type Points = readonly Point[]

/** Ascending in time; of equal times the one with the smaller sequence number comes first. */
function points(trim: (merged: Points) => Points): SlotAlgebra<Points> {
  const merge = (earlier: Points, later: Points): Points => {
    if (earlier.length === 0) return later
    if (later.length === 0) return earlier
    const merged: Point[] = []
    let [i, j] = [0, 0]
    while (i < earlier.length || j < later.length) {
      const [a, b] = [earlier[i], later[j]]
      if (b === undefined || (a !== undefined && a.timeMs <= b.timeMs)) {
        if (a !== undefined) merged.push(a)
        i += 1
      } else {
        merged.push(b)
        j += 1
      }
    }
    return trim(merged)
  }
  return {
    empty: [],
    update: (found, value, timeMs) => merge(found, [{ timeMs, value: value as number }]),
    merge,
    fold(column, from, to, newer) {
      let found = newer
      for (let row = to - 1; row >= from; row -= 1) found = merge(column[row] as Points, found)
      return found
    },
  }
}

type Values = readonly SlotValue[]

const sharedLists = new Map<string, Values>()
const sharedListsMax = 100_000

/**
 * A list of one value. Most rows of most tables have one, and few texts make up most of them: they share their lists,
 * which nobody changes. Beyond a limit a list is just made.
 */
export function onlyValue(value: SlotValue): Values {
  if (typeof value !== 'string') return [value]
  const shared = sharedLists.get(value)
  if (shared !== undefined) return shared
  const list = [value]
  if (sharedLists.size < sharedListsMax) sharedLists.set(value, list)
  return list
}

function distinct(size: number): SlotAlgebra<Values> {
  const union = (earlier: Values, later: Values): Values => {
    const merged = earlier.slice()
    addNew(merged, later)
    return merged.length === earlier.length ? earlier : merged
  }
  const addNew = (known: SlotValue[], values: Values): void => {
    for (let i = 0; i < values.length && known.length < size; i += 1) {
      const value = values[i] as SlotValue
      let at = 0
      // A plain loop: the compiler knows what it compares, `includes` finds it out anew for each value.
      while (at < known.length && known[at] !== value) at += 1
      if (at === known.length) known.push(value)
    }
  }
  return {
    empty: [],
    update(found, value) {
      if (found.length === 0) return onlyValue(value)
      return found.length >= size || found.includes(value) ? found : [...found, value]
    },
    merge: union,
    fold(column, from, to, newer) {
      if (to <= from || newer.length >= size) return newer
      const found = newer.slice()
      for (let row = to - 1; row >= from && found.length < size; row -= 1) addNew(found, column[row] as Values)
      return found
    },
  }
}
