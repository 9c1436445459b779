import { forgottenTile, tileOf, windowEndTile, windowStartTile } from '../../../src/engine/window.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SlotPlan } from '../../../src/engine/tile-group.ts'
import { emptyTiles, plainTables, pruneTiles, rowFor, type TileTable } from '../../../src/engine/tiles/tiles.ts'
import { addValue } from '../../../src/engine/tiles/tile-row.ts'
import { groupOf, windowsOf } from '../support/slots.ts'
import { durationMs } from '../../../src/base/units.ts'
import { testSeed as seed } from '../../support/seed.ts'

const inside = (timeMs: number, readMs: number, windowMs: number, hopMs: number, delayMs = 0) =>
  windowStartTile(readMs, delayMs, windowMs, hopMs) < tileOf(timeMs, hopMs) &&
  tileOf(timeMs, hopMs) <= windowEndTile(readMs, delayMs, hopMs)

describe('a window at its edges', () => {
  const [second, minute, day] = [1_000, 60_000, 86_400_000]

  it.each([0, 1_600_000_000_000, -5 * day, 999])('with hop 1 s, read at %d, is (t − w, t] to the second', (t) => {
    const floor = Math.floor(t / second) * second
    for (const delay of [0, 7 * day]) {
      const end = floor - delay
      expect(inside(end, t, day, second, delay)).toBe(true)
      expect(inside(end + second - 1, t, day, second, delay)).toBe(true)
      expect(inside(end + second, t, day, second, delay)).toBe(false)
      expect(inside(end - day, t, day, second, delay)).toBe(false)
      expect(inside(end - day + second - 1, t, day, second, delay)).toBe(false)
      expect(inside(end - day + second, t, day, second, delay)).toBe(true)
    }
  })

  it('has a row exactly at t, and not one exactly at t − w', () => {
    for (const t of [0, 86_400_000, -86_400_000, 1_600_000_123_000]) {
      expect(inside(t, t, day, second)).toBe(true)
      expect(inside(t - day, t, day, second)).toBe(false)
    }
  })

  it('with a larger hop ends with the tile of t, and begins after the tile of t − w', () => {
    const t = 10 * minute + 30_000
    expect(inside(10 * minute, t, 5 * minute, minute)).toBe(true)
    expect(inside(11 * minute - 1, t, 5 * minute, minute)).toBe(true)
    expect(inside(11 * minute, t, 5 * minute, minute)).toBe(false)
    expect(inside(6 * minute - 1, t, 5 * minute, minute)).toBe(false)
    expect(inside(6 * minute, t, 5 * minute, minute)).toBe(true)
  })

  it('holds exactly w of tiles, whatever the time', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -(10 ** 12), max: 10 ** 13 }),
        fc.constantFrom(second, minute, 60 * minute),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 0, max: 50 }),
        (t, hop, tiles, delayTiles) => {
          const [window, delay] = [tiles * hop, delayTiles * hop]
          expect(windowEndTile(t, delay, hop) - windowStartTile(t, delay, window, hop)).toBe(tiles)
          expect(forgottenTile(t, window + delay, hop)).toBe(windowStartTile(t, delay, window, hop))
        },
      ),
      { seed },
    )
  })
})

const bothSlots = (windows: number) => [0, 1].map((slot) => ({ slot, windows }))

describe('tiles', () => {
  const group = groupOf(
    (['count', 'sum'] as const).map((kind) => ({ kind, size: 0, lifetime: false })),
    [
      { delayMs: 0, windowsMs: [1_000, 5_000, 60_000], slots: bothSlots(3), runs: [] },
      { delayMs: 10_000, windowsMs: [5_000], slots: bothSlots(1), runs: [] },
    ],
  )
  const rowsOf = (table: TileTable) => plainTables({ groups: [group] }, [table])[0]?.rows ?? []
  const tilesOf = (table: TileTable) => rowsOf(table).map(({ tile }) => tile)

  function add(table: TileTable, tile: number, ...values: readonly number[]): void {
    const row = rowFor(table, group, tile)
    for (const [slot, value] of values.entries())
      addValue(table, row, group.slots[slot] as SlotPlan, value, tile * 1_000)
  }

  it('stay sorted and sparse whatever the order, and answer every window of every delay', () => {
    const values = fc.array(fc.tuple(fc.integer({ min: -100, max: 100 }), fc.integer({ min: 0, max: 9 })), {
      maxLength: 60,
    })
    fc.assert(
      fc.property(values, fc.integer({ min: -110_000, max: 110_000 }), (observations, readMs) => {
        const table = emptyTiles(group)
        for (const [tile, value] of observations) {
          add(table, tile, 1, value)
        }
        expect(tilesOf(table)).toEqual([...new Set(observations.map(([tile]) => tile))].sort((a, b) => a - b))
        const expected = group.reads.flatMap(({ delayMs, windowsMs }) =>
          windowsMs.flatMap((windowMs) => {
            const found = observations.filter(([tile]) => inside(tile * 1_000, readMs, windowMs, 1_000, delayMs))
            return [found.length, found.reduce((sum, [, value]) => sum + value, 0)]
          }),
        )
        expect(windowsOf(table, group, readMs)).toEqual(expected)
      }),
      { seed, numRuns: 300 },
    )
  })

  it('are forgotten from the oldest on, the bound included', () => {
    const table = emptyTiles(group)
    for (const tile of [5, 3, 9, 4]) add(table, tile, 1)
    pruneTiles(table, group, 2)
    expect(tilesOf(table)).toEqual([3, 4, 5, 9])
    pruneTiles(table, group, 4)
    expect(rowsOf(table)).toEqual([
      { tile: 5, values: [1, 0] },
      { tile: 9, values: [1, 0] },
    ])
    pruneTiles(table, group, 100)
    expect(tilesOf(table)).toEqual([])
  })
})

describe('durations', () => {
  it.each([
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
    ['0s', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(durationMs(text)).toBe(ms)
  })

  it.each(['', '5', 'm', '5 m', '-5m', '1.5h', '05m', '5M', '1w', '1e3s'])('"%s" is none', (text) => {
    expect(() => durationMs(text)).toThrow(/is not a duration: write a whole number/)
  })
})
