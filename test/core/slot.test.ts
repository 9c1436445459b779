import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { standardDeviation } from '../../src/core/aggregates.ts'
import { slotAlgebra, type Accumulator, type SlotKind } from '../../src/core/slot.ts'
import { testSeed as seed } from '../support/seed.ts'

const size = 3
const largest = 2 ** 40

interface Observation {
  readonly timeMs: number
  readonly value: number
}

/** Few times, so that many are equal; values whose squares are below, about and beyond 2^53. */
const observations = fc.oneof(
  ...[10, 2 ** 26, largest].map((most) => {
    const value = fc.integer({ min: -most, max: most })
    return fc.array(fc.record({ timeMs: fc.integer({ min: -5, max: 5 }), value }), { maxLength: 30 })
  }),
)
const byTime = (all: readonly Observation[]) => all.toSorted((a, b) => a.timeMs - b.timeMs)

function collect(kind: SlotKind, all: readonly Observation[]): Accumulator {
  const { empty, update } = slotAlgebra(kind, size)
  return all.reduce<Accumulator>((found, { value, timeMs }) => update(found, value, timeMs), empty)
}

const anyOrder = ['count', 'sum', 'square_sum', 'min', 'max', 'oldest_time', 'newest_time'] as const
const inOrder = ['oldest', 'newest'] as const

describe.each([...anyOrder, ...inOrder])('%s', (kind) => {
  const { empty, merge, fold } = slotAlgebra(kind, size)

  it('is the same for every split of a series into tiles', () => {
    fc.assert(
      fc.property(observations, fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 5 }), (all, cuts) => {
        const series = byTime(all)
        const ends = [...cuts.toSorted((a, b) => a - b), series.length]
        const tiles = ends.map((end, i) => collect(kind, series.slice(i === 0 ? 0 : ends[i - 1], end)))
        expect(fold(tiles, 0, tiles.length, empty)).toEqual(collect(kind, series))
        expect(tiles.reduce(merge, empty)).toEqual(collect(kind, series))
        // As a read folds: from the newest tile back, a window at a time.
        const middle = tiles.length >> 1
        const newer = fold(tiles, middle, tiles.length, empty)
        expect(fold(tiles, 0, middle, newer)).toEqual(collect(kind, series))
      }),
      { seed },
    )
  })

  it('merges associatively, and with nothing to itself', () => {
    fc.assert(
      fc.property(observations, observations, observations, (one, two, three) => {
        const [a, b, c] = [collect(kind, one), collect(kind, two), collect(kind, three)]
        expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)))
        expect(merge(empty, a)).toEqual(a)
        expect(merge(a, empty)).toEqual(a)
      }),
      { seed },
    )
  })
})

it.each(anyOrder)('%s does not depend on the order', (kind) => {
  fc.assert(
    fc.property(observations, (all) => {
      expect(collect(kind, all.toReversed())).toEqual(collect(kind, all))
      expect(collect(kind, byTime(all))).toEqual(collect(kind, all))
    }),
    { seed },
  )
})

it('of two points at the same time the one that came first is older', () => {
  fc.assert(
    fc.property(observations, (all) => {
      expect(collect('oldest', all)).toEqual(byTime(all).slice(0, size))
      expect(collect('newest', all)).toEqual(byTime(all).slice(-size))
    }),
    { seed },
  )
})

it('distinct counts as many as there are, and no more than its cap, whatever the tiles', () => {
  const values = fc.array(fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom('a', 'b', '1')), { maxLength: 12 })
  fc.assert(
    fc.property(fc.array(values, { maxLength: 5 }), fc.integer({ min: 1, max: 6 }), (tiles, cap) => {
      const { empty, update, fold } = slotAlgebra('distinct', cap)
      const collected = tiles.map((tile) => tile.reduce<Accumulator>((found, value) => update(found, value, 0), empty))
      expect(fold(collected, 0, collected.length, empty)).toHaveLength(Math.min(cap, new Set(tiles.flat()).size))
    }),
    { seed },
  )
})

it('square_sum is exact beyond 2^53', () => {
  fc.assert(
    fc.property(observations, (all) => {
      const exact = all.reduce((sum, { value }) => sum + BigInt(value) ** 2n, 0n)
      const found = collect('square_sum', all) as number | bigint
      expect(BigInt(found)).toBe(exact)
      expect(typeof found).toBe(exact > BigInt(Number.MAX_SAFE_INTEGER) ? 'bigint' : 'number')
    }),
    { seed },
  )
})

describe('the standard deviation', () => {
  const of = (values: readonly number[]) => {
    const all = values.map((value) => ({ value, timeMs: 0 }))
    const squares = collect('square_sum', all) as number | bigint
    return standardDeviation(values.length, collect('sum', all) as number, squares)
  }

  it('is that of exact integers, rounded once before the division', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -largest, max: largest }), { minLength: 2, maxLength: 30 }), (values) => {
        const exact = values.map(BigInt)
        const [n, sum] = [BigInt(values.length), exact.reduce((a, b) => a + b, 0n)]
        const squares = exact.reduce((a, b) => a + b * b, 0n)
        expect(of(values)).toBe(Math.sqrt(Number(n * squares - sum * sum) / Number(n * (n - 1n))))
      }),
      { seed },
    )
  })

  it('is null below two values and 0 when all are equal', () => {
    expect([of([]), of([5])]).toEqual([null, null])
    expect([of([0, 0]), of([7, 7, 7]), of([largest, largest, largest])]).toEqual([0, 0, 0])
    expect(of([1, 3])).toBe(Math.SQRT2)
  })
})
