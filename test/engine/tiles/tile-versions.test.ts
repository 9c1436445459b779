import { windowEndTile, windowStartTile } from '../../../src/engine/window.ts'
import type { SlotKind } from '../../../src/engine/slot-kind.ts'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ByteWriter } from '../../../src/base/bytes.ts'
import type { TileGroupPlan } from '../../../src/engine/tile-group.ts'
import type { Accumulator, SlotValue } from '../../../src/engine/tiles/slot.ts'
import { addValue, putValue, type TileRow, type AllocatedSlot } from '../../../src/engine/tiles/tile-row.ts'
import {
  emptyTiles,
  nextVersion,
  plainTables,
  pruneTiles,
  rowAt,
  rowFor,
  tableOfRows,
  type TileTable,
} from '../../../src/engine/tiles/tiles.ts'
import { writeTiles } from '../../../src/engine/tiles/tile-codec.ts'
import { testSeed as seed } from '../../support/seed.ts'
import { groupOf, OneSlot, windowsOf, type Shape } from '../support/slots.ts'

const hopMs = 1_000

/** Windows over a few slots of every kind of accumulator; the first one has a lifetime. */
function groupWithAll(tilesMax: number): TileGroupPlan {
  const shape = (kind: SlotKind, size: number, lifetime: boolean): Shape => ({ kind, size, lifetime })
  const shapes = [
    shape('count', 0, true),
    shape('sum', 0, false),
    shape('newest', 2, true),
    shape('distinct', 2, false),
  ]
  const all = shapes.map((_, index) => ({ slot: index, windows: 2 }))
  const reads = [
    { delayMs: 0, windowsMs: [5_000, 100_000, Infinity], slots: [...all.slice(1), { slot: 0, windows: 3 }], runs: [] },
    { delayMs: 3_000, windowsMs: [20_000, Infinity], slots: [{ slot: 2, windows: 2 }], runs: [] },
  ]
  return groupOf(shapes, reads, tilesMax, hopMs)
}

/** The algebra of every slot, by itself: slot.test.ts proves it. */
const algebras = new Map<AllocatedSlot, OneSlot>()
function algebraOf(slot: AllocatedSlot) {
  const own = algebras.get(slot) ?? new OneSlot(slot.kind, slot.size)
  algebras.set(slot, own)
  const rowOf = (value: Accumulator): TileRow => {
    const row = own.collect([])
    putValue(row, own.slot, value)
    return row
  }
  const empty = own.valueIn(own.collect([]))
  const merge = (earlier: Accumulator, later: Accumulator) => own.valueIn(own.merge(rowOf(earlier), rowOf(later)))
  const update = (found: Accumulator, value: SlotValue, timeMs: number) =>
    merge(found, own.valueIn(own.collect([{ value, timeMs }])))
  return { empty, merge, update }
}

/** What a table means, as a value that nobody changes. */
interface Model {
  readonly rows: readonly { readonly tile: number; readonly values: readonly Accumulator[] }[]
  readonly base: readonly Accumulator[] | null
  readonly cappedTile: number | null
}

interface Step {
  readonly tile: number
  readonly value: number
  /** How far behind the tile everything is forgotten; null: nothing is. */
  readonly forget: number | null
}

function observed({ rows, ...rest }: Model, { slots }: TileGroupPlan, { tile, value }: Step): Model {
  const before = rows.find((row) => row.tile === tile)?.values ?? slots.map((slot) => algebraOf(slot).empty)
  const values = slots.map((slot, i) => algebraOf(slot).update(before[i] as Accumulator, value, tile * hopMs))
  const others = rows.filter((row) => row.tile !== tile)
  return { ...rest, rows: [...others, { tile, values }].sort((a, b) => a.tile - b.tile) }
}

function pruned({ rows, base, cappedTile }: Model, group: TileGroupPlan, forgotten: number): Model {
  const young = rows.filter(({ tile }) => tile > forgotten)
  const kept = young.slice(-group.tilesMax)
  const capped = young.at(-group.tilesMax - 1)?.tile ?? cappedTile
  const gone = rows.filter((row) => !kept.includes(row))
  if (gone.length === 0) return { rows, base, cappedTile }
  const merged = group.slots.map((slot, i) => {
    const { empty, merge } = algebraOf(slot)
    const first = base?.[i] ?? empty
    return slot.lifetime ? gone.reduce((all, row) => merge(all, row.values[i] as Accumulator), first) : empty
  })
  return { rows: kept, base: merged, cappedTile: capped }
}

/** By window, the slots that are read there. */
function read({ rows, base }: Model, group: TileGroupPlan, timeMs: number): Accumulator[] {
  return group.reads.flatMap(({ delayMs, windowsMs, slots }) =>
    windowsMs.flatMap((windowMs, window) =>
      group.slots.map((placed, slot): Accumulator => {
        const { empty, merge } = algebraOf(placed)
        if (!slots.some((wanted) => wanted.slot === slot && window < wanted.windows)) return null
        const [start, end] = [windowStartTile(timeMs, delayMs, windowMs, hopMs), windowEndTile(timeMs, delayMs, hopMs)]
        const inside = rows.filter(({ tile }) => start < tile && tile <= end)
        const first = windowMs === Infinity && base !== null ? (base[slot] as Accumulator) : empty
        return inside.reduce((all, row) => merge(all, row.values[slot] as Accumulator), first)
      }),
    ),
  )
}

/** Of different values only their number is promised. */
function asPromised(cells: readonly Accumulator[], group: TileGroupPlan): unknown[] {
  const { slots } = group
  return cells.map((cell, i) => {
    const isDistinct = slots[i % slots.length]?.kind === 'distinct' && Array.isArray(cell)
    return isDistinct ? (cell as readonly SlotValue[]).length : cell
  })
}

/** One version after another, each from any earlier one, as states of caches, lost writes and replays are. */
interface Branch {
  readonly from: number
  readonly steps: readonly Step[]
}

const step = fc.record({
  tile: fc.integer({ min: 0, max: 12 }),
  value: fc.integer({ min: -3, max: 3 }),
  forget: fc.option(fc.integer({ min: 0, max: 8 })),
})
const branch = fc.record({ from: fc.nat(), steps: fc.array(step, { minLength: 1, maxLength: 6 }) })
/** A long series forgets what lies in front of it in memory. */
const long = fc.record({
  from: fc.nat(),
  steps: fc
    .integer({ min: 100, max: 220 })
    .map((length) =>
      Array.from({ length }, (_, i): Step => ({ tile: i >> 1, value: i % 3, forget: i % 5 === 0 ? 6 : null })),
    ),
})
const branches = fc.array(fc.oneof({ weight: 12, arbitrary: branch }, { weight: 1, arbitrary: long }), {
  minLength: 2,
  maxLength: 20,
})

const writer = new ByteWriter()

function bytesOf(group: TileGroupPlan, table: TileTable): Uint8Array {
  writer.reset()
  writeTiles(writer, group, table)
  return writer.take()
}

/** The same values in arrays that nobody else has. */
function alone(group: TileGroupPlan, table: TileTable): TileTable {
  const rows = Array.from({ length: table.end - table.start }, (_, i) => rowAt(table, table.start + i))
  const { base, cappedTile, missingHistory } = table
  return { ...tableOfRows(group.layout, rows), base, cappedTile, missingHistory }
}

function run(group: TileGroupPlan, all: readonly Branch[]): void {
  const versions: { readonly table: TileTable; readonly model: Model }[] = [
    { table: emptyTiles(group), model: { rows: [], base: null, cappedTile: null } },
  ]
  for (const { from, steps } of all) {
    const parent = versions[from % versions.length]
    if (parent === undefined) throw new Error('there is a first version')
    const table = nextVersion(parent.table)
    let { model } = parent
    let forgotten = -Infinity
    for (const one of steps) {
      const low = Math.max(forgotten, model.cappedTile ?? -Infinity)
      if (one.tile <= low) continue
      model = observed(model, group, one)
      const row = rowFor(table, group, one.tile)
      for (const slot of group.slots) addValue(table, row, slot, one.value, one.tile * hopMs)
      // Whoever writes a table may change it afterwards.
      bytesOf(group, table)
      if (one.forget === null) continue
      forgotten = Math.max(low, one.tile - one.forget)
      pruneTiles(table, group, forgotten)
      model = pruned(model, group, forgotten)
    }
    versions.push({ table, model })
    for (const [number, version] of versions.entries()) {
      const [plain] = plainTables({ groups: [group] }, [version.table])
      expect(plain, `version ${number} of ${versions.length}`).toEqual({ ...version.model, missingHistory: null })
      // Written again after every step, from what was kept: never other bytes than those of a table of its own.
      expect(bytesOf(group, version.table), `version ${number}`).toEqual(bytesOf(group, alone(group, version.table)))
    }
  }
  for (const { table, model } of versions) {
    for (const timeMs of [0, 4_000, 7_500, 200_000]) {
      expect(asPromised(windowsOf(table, group, timeMs), group)).toEqual(asPromised(read(model, group, timeMs), group))
    }
  }
}

it.each([3, 1_000])(
  'versions of a table that share arrays mean what plain values mean, at most %d tiles',
  (tilesMax) => {
    const group = groupWithAll(tilesMax)
    fc.assert(
      fc.property(branches, (all) => {
        run(group, all)
      }),
      { seed, numRuns: 300 },
    )
  },
)
