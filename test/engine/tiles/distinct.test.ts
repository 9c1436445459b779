import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import { ByteReader, ByteWriter } from '../../../src/base/bytes.ts'
import { codedCharsMax, codesMax, type KeptValues } from '../../../src/engine/tiles/distinct.ts'
import { readTiles, writeTiles } from '../../../src/engine/tiles/tile-codec.ts'
import { plainTables, tableOfRows } from '../../../src/engine/tiles/tiles.ts'
import { testSeed as seed } from '../../support/seed.ts'
import { codes, groupOf, OneSlot, windowsOf } from '../support/slots.ts'

const cap = 4
const old = ['o0', 'o1', 'o2', 'o3']

const short = 'x'.repeat(codedCharsMax)
const long = `${short}x`
let whileThereWereCodes: KeptValues[] = []

// Codes are few, and a plan gives each only once: from here on new values have none.
beforeAll(() => {
  whileThereWereCodes = [codes.kept([short]), codes.kept([long])]
  for (const value of old) codes.kept([value])
  for (let value = 0; value < codesMax; value += 1) codes.kept([`filler ${value}`])
})

it('has no code for a text that is longer than an id: what codes keep is bounded in bytes', () => {
  expect(whileThereWereCodes).toMatchObject([{ list: null }, { cell: -1, list: [long] }])
})

it('has no code for a value that comes when all are given', () => {
  expect(codes.kept(['o1']).list).toBeNull()
  expect(codes.kept(['new'])).toEqual({ cell: -1, list: ['new'] })
})

it('counts, merges and stores values with and without a code alike', () => {
  const value = fc.oneof(fc.constantFrom(...old), fc.constantFrom('n0', 'n1', long), fc.integer({ min: -2, max: 2 }))
  fc.assert(
    fc.property(fc.array(fc.array(value, { maxLength: 6 }), { minLength: 1, maxLength: 6 }), (tiles) => {
      const slot = new OneSlot('distinct', cap)
      const rows = tiles.map((tile, i) =>
        slot.collect(
          tile.map((one) => ({ value: one, timeMs: 0 })),
          i,
        ),
      )
      const windowsMs = [1_000, 2_000, tiles.length * 1_000].sort((a, b) => a - b)
      const reads = [{ delayMs: 0, windowsMs, slots: [{ slot: 0, windows: windowsMs.length }], runs: [] }]
      const group = groupOf([{ kind: 'distinct', size: cap, lifetime: false }], reads)
      const table = tableOfRows(group.layout, rows)
      const counts = windowsMs.map((ms) => Math.min(cap, new Set(tiles.slice(-ms / 1_000).flat()).size))
      expect(windowsOf(table, group, (tiles.length - 1) * 1_000)).toEqual(counts)
      const merged = rows.reduce((earlier, later) => slot.merge(earlier, later), slot.collect([]))
      expect(slot.valueIn(merged)).toEqual([...new Set(tiles.flat())].slice(0, cap))
      const writer = new ByteWriter()
      writeTiles(writer, group, table)
      const back = readTiles(new ByteReader(writer.take()), group)
      expect(plainTables({ groups: [group] }, [back])).toEqual(plainTables({ groups: [group] }, [table]))
      expect(windowsOf(back, group, (tiles.length - 1) * 1_000)).toEqual(counts)
    }),
    { seed },
  )
})
