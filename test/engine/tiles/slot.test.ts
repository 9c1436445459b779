import type { SlotKind } from '../../../src/engine/slot-kind.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { standardDeviation } from '../../../src/engine/tiles/aggregates.ts'
import type { Accumulator } from '../../../src/engine/tiles/slot.ts'
import type { TileRow } from '../../../src/engine/tiles/tile-row.ts'
import { tableOfRows } from '../../../src/engine/tiles/tiles.ts'
import { groupOf, OneSlot, windowsOf } from '../support/slots.ts'
import { testSeed as seed } from '../../support/seed.ts'

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

const byKind = (kind: SlotKind) => new OneSlot(kind, size)
const collect = (kind: SlotKind, all: readonly Observation[]) => byKind(kind).valueIn(byKind(kind).collect(all))

const anyOrder = ['count', 'sum', 'square_sum', 'min', 'max', 'oldest_time', 'newest_time'] as const
const inOrder = ['oldest', 'newest'] as const

/** What a read finds in windows that reach back over so many of the tiles, from the newest on. */
function read(kind: SlotKind, rows: readonly TileRow[], reaches: readonly number[], cap = size): Accumulator[] {
  const windowsMs = reaches.map((tiles) => tiles * 1_000)
  const slots = [{ slot: 0, windows: windowsMs.length }]
  const group = groupOf([{ kind, size: cap, lifetime: false }], [{ delayMs: 0, windowsMs, slots, runs: [] }])
  return windowsOf(tableOfRows(group.layout, rows), group, (rows.length - 1) * 1_000)
}

describe.each([...anyOrder, ...inOrder])('%s', (kind) => {
  const slot = byKind(kind)

  it('is the same for every split of a series into tiles', () => {
    fc.assert(
      fc.property(observations, fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 5 }), (all, cuts) => {
        const series = byTime(all)
        const ends = [...cuts.toSorted((a, b) => a - b), series.length]
        const starts = ends.map((_, i) => (i === 0 ? 0 : (ends[i - 1] as number)))
        const tiles = ends.map((end, i) => slot.collect(series.slice(starts[i], end), i))
        // As a read goes: from the newest tile back, a window at a time.
        const middle = tiles.length >> 1
        expect(read(kind, tiles, [tiles.length - middle, tiles.length])).toEqual([
          collect(kind, series.slice(starts[middle])),
          collect(kind, series),
        ])
        const merged = tiles.reduce((earlier, later) => slot.merge(earlier, later), slot.collect([]))
        expect(slot.valueIn(merged)).toEqual(collect(kind, series))
      }),
      { seed },
    )
  })

  it('merges associatively, and with nothing to itself', () => {
    fc.assert(
      fc.property(observations, observations, observations, (one, two, three) => {
        const [a, b, c] = [slot.collect(one), slot.collect(two), slot.collect(three)]
        const [left, right] = [slot.merge(slot.merge(a, b), c), slot.merge(a, slot.merge(b, c))]
        expect(slot.valueIn(left)).toEqual(slot.valueIn(right))
        const nothing = slot.collect([])
        expect(slot.valueIn(slot.merge(nothing, a))).toEqual(slot.valueIn(a))
        expect(slot.valueIn(slot.merge(a, nothing))).toEqual(slot.valueIn(a))
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
  const values = fc.array(fc.oneof(fc.integer({ min: -1, max: 5 }), fc.constantFrom('a', 'b', '1')), { maxLength: 12 })
  fc.assert(
    fc.property(fc.array(values, { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 6 }), (tiles, cap) => {
      const slot = new OneSlot('distinct', cap)
      const rows = tiles.map((tile, i) =>
        slot.collect(
          tile.map((value) => ({ value, timeMs: 0 })),
          i,
        ),
      )
      const counted = (all: readonly (readonly unknown[])[]) => Math.min(cap, new Set(all.flat()).size)
      expect(read('distinct', rows, [1, tiles.length], cap)).toEqual([counted(tiles.slice(-1)), counted(tiles)])
      const merged = rows.reduce((earlier, later) => slot.merge(earlier, later), slot.collect([]))
      expect(slot.valueIn(merged)).toEqual([...new Set(tiles.flat())].slice(0, cap))
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
