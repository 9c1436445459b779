import { limb, mergeCell } from './cells.ts'
import { ValueCounter } from './distinct.ts'
import type { DelayRead, RunRead, SlotPlan, TileGroupPlan } from '../plan.ts'
import { mergePoints } from './points.ts'
import type { Points, Values } from './slot.ts'
import { noPoints, type TileRow } from './tile-row.ts'
import { rowAfter, type TileTable } from './tiles.ts'
import { windowEndTile, windowStartTile } from './window.ts'

/**
 * Merged tiles: for each delay of each group one row of slots for each window, then its runs, in plan order. What no
 * feature needs is left as it was. Of different values only their number is kept.
 */
export class WindowCells {
  /** NaN: nothing was there. Of a sum of squares the low half. */
  readonly numbers: Float64Array
  /** The high halves of sums of squares (see cells.ts). */
  readonly highs: Float64Array
  readonly points: Points[]

  constructor(size: number) {
    this.numbers = new Float64Array(size)
    this.highs = new Float64Array(size)
    this.points = new Array<Points>(size).fill(noPoints)
  }
}

/** Merges the tiles of every window of the group at `timeMs`. */
export function readWindows(table: TileTable, group: TileGroupPlan, timeMs: number, into: WindowCells): void {
  const { slots } = group
  for (const read of group.reads) {
    boundWindows(table, group, read, timeMs)
    for (const { slot, windows } of read.slots) {
      // What was forgotten belongs to a lifetime, which is the last window.
      const base = table.base !== null && read.windowsMs[windows - 1] === Infinity ? table.base : null
      mergeSlot(table, slots[slot] as SlotPlan, read.base + slot, windows, slots.length, into, base)
      if (base !== null) mergeBase(base, slots[slot] as SlotPlan, read.base + (windows - 1) * slots.length + slot, into)
    }
    let at = read.base + read.windowsMs.length * slots.length
    for (const run of read.runs) {
      into.numbers[at] = runOf(table, group, run)
      at += 1
    }
  }
}

/**
 * Of the group and delay that is being read: the row after the newest tile, then the first row of each window, from the
 * shortest on. Kept from read to read, because a read is over before another begins.
 */
let bounds = new Int32Array(16)

function boundWindows(table: TileTable, { hopMs }: TileGroupPlan, read: DelayRead, timeMs: number): void {
  const { delayMs, windowsMs } = read
  const { cells, width, start } = table
  if (bounds.length <= windowsMs.length) bounds = new Int32Array(windowsMs.length * 2)
  let row = rowAfter(table, windowEndTile(timeMs, delayMs, hopMs))
  bounds[0] = row
  for (let window = 0; window < windowsMs.length; window += 1) {
    const before = windowStartTile(timeMs, delayMs, windowsMs[window] as number, hopMs)
    while (row > start && (cells[(row - 1) * width] as number) > before) row -= 1
    bounds[window + 1] = row
  }
}

/**
 * One walk from the newest tile back serves the first `windows` windows: their cells stand `step` apart. Each kind has a loop of
 * its own, because a call for every row would cost more than what it does.
 */
function mergeSlot(
  table: TileTable,
  slot: SlotPlan,
  at: number,
  windows: number,
  step: number,
  into: WindowCells,
  base: TileRow | null,
): void {
  switch (slot.kind) {
    case 'count':
    case 'sum':
      mergeSums(table, slot.place, at, windows, step, into.numbers)
      return
    case 'square_sum':
      mergeSquares(table, slot.place, at, windows, step, into)
      return
    case 'newest_time':
      mergeNewest(table, slot.place, at, windows, step, into.numbers)
      return
    case 'min':
    case 'max':
    case 'oldest_time':
      mergeExtremes(table, slot, at, windows, step, into.numbers)
      return
    case 'oldest':
    case 'newest':
      joinPoints(table, slot, at, windows, step, into.points)
      return
    case 'distinct':
      countValues(table, slot, at, windows, step, into.numbers, base)
  }
}

function mergeSums(
  { cells, width }: TileTable,
  place: number,
  at: number,
  windows: number,
  step: number,
  numbers: Float64Array,
): void {
  let total = 0
  let row = bounds[0] as number
  for (let window = 0; window < windows; window += 1) {
    const first = bounds[window + 1] as number
    while (row > first) {
      row -= 1
      total += cells[row * width + place] as number
    }
    numbers[at + window * step] = total
  }
}

function mergeSquares(
  { cells, width }: TileTable,
  place: number,
  at: number,
  windows: number,
  step: number,
  { numbers, highs }: WindowCells,
): void {
  let [low, high] = [0, 0]
  let row = bounds[0] as number
  for (let window = 0; window < windows; window += 1) {
    const first = bounds[window + 1] as number
    while (row > first) {
      row -= 1
      const own = cells[row * width + place] as number
      high += cells[row * width + place + 1] as number
      // As in cells.ts, spelled out, because this is where the hot path spends its time.
      if (low >= limb - own) {
        low -= limb - own
        high += 1
      } else {
        low += own
      }
    }
    numbers[at + window * step] = low
    highs[at + window * step] = high
  }
}

/** Rows are in the order of time: the last one that has a time has the newest. */
function mergeNewest(
  { cells, width }: TileTable,
  place: number,
  at: number,
  windows: number,
  step: number,
  numbers: Float64Array,
): void {
  let found = NaN
  let row = bounds[0] as number
  for (let window = 0; window < windows; window += 1) {
    const first = bounds[window + 1] as number
    while (row > first && Number.isNaN(found)) {
      row -= 1
      found = cells[row * width + place] as number
    }
    numbers[at + window * step] = found
  }
}

/** The oldest time is the least. */
function mergeExtremes(
  { cells, width }: TileTable,
  { kind, place }: SlotPlan,
  at: number,
  windows: number,
  step: number,
  numbers: Float64Array,
): void {
  const sign = kind === 'max' ? -1 : 1
  let found = NaN
  let row = bounds[0] as number
  for (let window = 0; window < windows; window += 1) {
    const first = bounds[window + 1] as number
    while (row > first) {
      row -= 1
      const value = cells[row * width + place] as number
      if (Number.isNaN(found) || value * sign < found * sign) found = value
    }
    numbers[at + window * step] = found
  }
}

function joinPoints(
  { lists }: TileTable,
  slot: SlotPlan,
  at: number,
  windows: number,
  step: number,
  points: Points[],
): void {
  const column = lists[slot.list] as Points[] | undefined
  let found = noPoints
  let row = bounds[0] as number
  for (let window = 0; window < windows; window += 1) {
    const first = bounds[window + 1] as number
    while (row > first) {
      row -= 1
      found = mergePoints(slot, column?.[row] ?? noPoints, found)
    }
    points[at + window * step] = found
  }
}

/** Begun anew for every slot. */
const counter = new ValueCounter()

function countValues(
  { cells, width, lists }: TileTable,
  { place, list, size }: SlotPlan,
  at: number,
  windows: number,
  step: number,
  numbers: Float64Array,
  base: TileRow | null,
): void {
  const column = lists[list] as Values[] | undefined
  counter.begin(size)
  let row = bounds[0] as number
  for (let window = 0; window < windows; window += 1) {
    const first = bounds[window + 1] as number
    while (row > first && !counter.isFull) {
      row -= 1
      counter.add(cells[row * width + place] as number, column?.[row])
    }
    row = first
    if (base !== null && window === windows - 1) {
      counter.add(base.cells[place] as number, base.lists[list] as Values | undefined)
    }
    numbers[at + window * step] = counter.count
  }
}

/** What was forgotten, into a cell of which `countValues` has not taken care. */
function mergeBase(base: TileRow, slot: SlotPlan, at: number, { numbers, highs, points }: WindowCells): void {
  switch (slot.kind) {
    case 'distinct':
      return
    case 'oldest':
    case 'newest':
      points[at] = mergePoints(slot, (base.lists[slot.list] ?? noPoints) as Points, points[at] ?? noPoints)
      return
    default: {
      const cells = [numbers[at] as number, highs[at] as number]
      mergeCell(slot.kind, cells, 0, base.cells, slot.place)
      numbers[at] = cells[0] as number
      highs[at] = cells[1] as number
    }
  }
}

function runOf({ cells, width }: TileTable, { slots }: TileGroupPlan, { window, matching, all }: RunRead): number {
  const [matchingAt, allAt] = [(slots[matching] as SlotPlan).place, (slots[all] as SlotPlan).place]
  const first = bounds[window + 1] as number
  let run = 0
  for (let row = (bounds[0] as number) - 1; row >= first; row -= 1) {
    const [matched, total] = [cells[row * width + matchingAt] as number, cells[row * width + allAt] as number]
    if (total === 0) continue
    if (matched < total) break
    run += total
  }
  return run
}
