import type { Aggregate } from '../../define/aggregate.ts'

/** One observation of a slot, in the order of sequence numbers. */
export interface ReferenceValue {
  readonly timeMs: number
  readonly tile: number
  readonly value: number | string
}

/** The oracle of aggregates: each computed from the values themselves, with nothing merged. */
export function referenceAggregate(
  { kind, slots, position }: Aggregate,
  values: readonly (readonly ReferenceValue[])[],
  readMs: number,
): number | null {
  const [own = [], second = []] = values
  const numbers = own.map(({ value }) => Number(value))
  // Stable: of equal times the smaller sequence number comes first.
  const byTime = own.toSorted((a, b) => a.timeMs - b.timeMs)
  switch (kind) {
    case 'count':
      return own.length
    case 'sum':
      return numbers.reduce((total, value) => total + value, 0)
    case 'mean':
      return own.length === 0 ? null : numbers.reduce((total, value) => total + value, 0) / own.length
    case 'min':
      return own.length === 0 ? null : numbers.reduce((a, b) => Math.min(a, b))
    case 'max':
      return own.length === 0 ? null : numbers.reduce((a, b) => Math.max(a, b))
    case 'stddev':
      return deviation(numbers)
    case 'first':
      return numberOf(byTime[0])
    case 'last':
      return numberOf(byTime.at(-position))
    case 'distinct':
      return Math.min(slots[0]?.size ?? 0, new Set(own.map(({ value }) => value)).size)
    case 'rate':
      return second.length === 0 ? null : own.length / second.length
    case 'seconds_since_first':
      return secondsSince(byTime[0], readMs)
    case 'seconds_since_last':
      return secondsSince(byTime.at(-1), readMs)
    case 'run':
      return runLength(own, second)
  }
}

function numberOf(value: ReferenceValue | undefined): number | null {
  return value === undefined ? null : Number(value.value)
}

function secondsSince(value: ReferenceValue | undefined, readMs: number): number | null {
  return value === undefined ? null : Math.max(0, readMs - value.timeMs) / 1_000
}

/** Computes in arbitrary precision, until the one conversion that the definition names. */
function deviation(numbers: readonly number[]): number | null {
  const n = BigInt(numbers.length)
  if (n < 2n) return null
  const total = numbers.reduce((sum, value) => sum + BigInt(value), 0n)
  const squares = numbers.reduce((sum, value) => sum + BigInt(value) * BigInt(value), 0n)
  return Math.sqrt(Number(n * squares - total * total) / Number(n * (n - 1n)))
}

function runLength(matching: readonly ReferenceValue[], all: readonly ReferenceValue[]): number {
  const tiles = [...new Set(all.map(({ tile }) => tile))].sort((a, b) => b - a)
  let run = 0
  for (const tile of tiles) {
    const total = all.filter((value) => value.tile === tile).length
    if (matching.filter((value) => value.tile === tile).length < total) break
    run += total
  }
  return run
}
