import { slotAlgebras, type Accumulator } from './aggregates.ts'
import { assert } from './errors.ts'
import type { TileGroupPlan } from './plan.ts'
import { windowEndTile, windowStartTile } from './window.ts'

/** Sparse tiles of one hop, oldest first: `slots[k][i]` is the accumulator of slot k in tile `index[i]`. */
export interface TileTable {
  readonly index: number[]
  readonly slots: Accumulator[][]
}

export function emptyTiles(group: TileGroupPlan): TileTable {
  return { index: [], slots: group.slots.map(() => []) }
}

export function copyTiles(table: TileTable): TileTable {
  return { index: table.index.slice(), slots: table.slots.map((column) => column.slice()) }
}

/** The row of a tile, made when it is not there. Most observations are the newest, so the search starts there. */
export function rowOf(table: TileTable, group: TileGroupPlan, tile: number): number {
  const { index, slots } = table
  let row = index.length
  while (row > 0 && at(index, row - 1) > tile) row -= 1
  if (row > 0 && index[row - 1] === tile) return row - 1
  index.splice(row, 0, tile)
  for (let slot = 0; slot < slots.length; slot += 1) {
    slots[slot]?.splice(row, 0, slotAlgebras[kindOf(group, slot)].empty)
  }
  return row
}

export function updateSlot(table: TileTable, group: TileGroupPlan, row: number, slot: number, value: number): void {
  const column = table.slots[slot]
  assert(column !== undefined, 'a table has all slots of its group')
  column[row] = slotAlgebras[kindOf(group, slot)].update(at(column, row), value)
}

/** Drops every tile up to and including `forgotten`. */
export function pruneTiles(table: TileTable, forgotten: number): void {
  const { index, slots } = table
  let count = 0
  while (count < index.length && at(index, count) <= forgotten) count += 1
  if (count === 0) return
  index.splice(0, count)
  for (const column of slots) column.splice(0, count)
}

/**
 * Merges the tiles of every window of the group at `timeMs`: `result[read][window][slot]`. One walk from the newest
 * tile back serves all windows of one delay.
 */
export function readWindows(table: TileTable, group: TileGroupPlan, timeMs: number): Accumulator[][][] {
  const { index, slots } = table
  const { hopMs } = group
  return group.reads.map(({ delayMs, windowsMs }) => {
    const end = windowEndTile(timeMs, delayMs, hopMs)
    let row = index.length
    while (row > 0 && at(index, row - 1) > end) row -= 1
    const merged = group.slots.map((kind) => slotAlgebras[kind].empty)
    return windowsMs.map((windowMs) => {
      const start = windowStartTile(timeMs, delayMs, windowMs, hopMs)
      for (; row > 0 && at(index, row - 1) > start; row -= 1) {
        for (let slot = 0; slot < merged.length; slot += 1) {
          const algebra = slotAlgebras[kindOf(group, slot)]
          merged[slot] = algebra.merge(at(slots[slot] ?? [], row - 1), at(merged, slot))
        }
      }
      return merged.slice()
    })
  })
}

function kindOf(group: TileGroupPlan, slot: number) {
  const kind = group.slots[slot]
  assert(kind !== undefined, 'the slot exists')
  return kind
}

function at(values: readonly number[], position: number): number {
  const value = values[position]
  assert(value !== undefined, 'the position is in the array')
  return value
}
