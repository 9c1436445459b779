import { daySeconds, type PaymentRows } from './payment-rows.ts'

/**
 * Rows sorted by (second, customer, terminal, cents), in new arrays. Expects them by customer, as they are drawn: two
 * stable counting sorts, first by the second of the day, then by day, keep that order among equal seconds.
 */
export function inCanonicalOrder(rows: PaymentRows, days: number): PaymentRows {
  const { length, second } = rows
  const secondOfDay = new Uint32Array(length)
  const day = new Uint32Array(length)
  for (let row = 0; row < length; row += 1) {
    const value = second[row] ?? 0
    day[row] = Math.floor(value / daySeconds)
    secondOfDay[row] = value % daySeconds
  }
  const start = Uint32Array.from({ length }, (_, row) => row)
  const order = countingSort(countingSort(start, secondOfDay, daySeconds), day, days)
  const sorted: PaymentRows = {
    length,
    second: order.map((row) => second[row] ?? 0),
    customer: order.map((row) => rows.customer[row] ?? 0),
    terminal: order.map((row) => rows.terminal[row] ?? 0),
    cents: new Float64Array(length),
  }
  for (let i = 0; i < length; i += 1) sorted.cents[i] = rows.cents[order[i] ?? 0] ?? 0
  return sorted
}

/**
 * Puts rows of one customer and second into order by (terminal, cents), in place. They are few and next to each
 * other. `swap` exchanges two neighbouring rows in every column that the caller keeps.
 */
export function orderTies(rows: PaymentRows, swap: (row: number) => void): void {
  const { second, customer, terminal, cents, length } = rows
  const tie = (row: number) => second[row] === second[row - 1] && customer[row] === customer[row - 1]
  for (let row = 1; row < length; row += 1) {
    for (let at = row; at > 0 && tie(at); at -= 1) {
      const byTerminal = (terminal[at] ?? 0) - (terminal[at - 1] ?? 0)
      const difference = byTerminal === 0 ? (cents[at] ?? 0) - (cents[at - 1] ?? 0) : byTerminal
      if (difference >= 0) break
      swap(at)
    }
  }
}

/** Exchanges row and row − 1 of a column. */
export function swapWithPrevious(column: Uint32Array | Float64Array | Uint8Array | Uint16Array, row: number): void {
  const moved = column[row] ?? 0
  column[row] = column[row - 1] ?? 0
  column[row - 1] = moved
}

function countingSort(order: Uint32Array, key: Uint32Array, keys: number): Uint32Array {
  const next = new Uint32Array(keys + 1)
  for (const row of order) {
    const slot = (key[row] ?? 0) + 1
    next[slot] = (next[slot] ?? 0) + 1
  }
  for (let k = 1; k <= keys; k += 1) next[k] = (next[k] ?? 0) + (next[k - 1] ?? 0)
  const sorted = new Uint32Array(order.length)
  for (const row of order) {
    const k = key[row] ?? 0
    const at = next[k] ?? 0
    sorted[at] = row
    next[k] = at + 1
  }
  return sorted
}
