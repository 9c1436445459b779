import { slotAlgebras, type Accumulator, type SlotAlgebra } from './aggregates.ts'
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
 * Merges the tiles of every window of the group at `timeMs`. The answer is flat: one row of slots for each window of
 * each delay, in plan order. One walk from the newest tile back serves all windows of a delay.
 */
export function readWindows(table: TileTable, group: TileGroupPlan, timeMs: number): Accumulator[] {
  const { index } = table
  const width = group.slots.length
  const merged: Accumulator[] = []
  for (const { delayMs, windowsMs } of group.reads) {
    const end = windowEndTile(timeMs, delayMs, group.hopMs)
    let row = index.length
    while (row > 0 && at(index, row - 1) > end) row -= 1
    const base = merged.length
    for (let window = 0; window < windowsMs.length; window += 1) {
      const start = windowStartTile(timeMs, delayMs, at(windowsMs, window), group.hopMs)
      const newest = row
      while (row > 0 && at(index, row - 1) > start) row -= 1
      for (let slot = 0; slot < width; slot += 1) {
        const algebra = slotAlgebras[kindOf(group, slot)]
        const shorter = window === 0 ? algebra.empty : at(merged, base + (window - 1) * width + slot)
        merged.push(mergeRows(table.slots[slot] ?? [], row, newest, algebra, shorter))
      }
    }
  }
  return merged
}

/** Rows `from` ≤ row < `to`, older than what `newer` holds. */
function mergeRows(
  column: readonly Accumulator[],
  from: number,
  to: number,
  algebra: SlotAlgebra,
  newer: Accumulator,
): Accumulator {
  let merged = newer
  for (let row = to - 1; row >= from; row -= 1) merged = algebra.merge(at(column, row), merged)
  return merged
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
