import { windowEndTile, windowStartTile } from '../window.ts'
import { itemAt } from '../../base/arrays.ts'
import { cellAt, limb, mergeCell } from './cells.ts'
import { ValueCounter, type ValueCodes } from './distinct.ts'
import type { DelayRead, RunRead, SlotPlan, TileGroupPlan } from '../tile-group.ts'
import { mergePoints } from './points.ts'
import { pointsOf, valuesOf, type Points } from './slot.ts'
import { noPoints, type TileRow } from './tile-row.ts'
import { rowAfter, type TileTable } from './tiles.ts'

/**
 * Merged tiles: for each delay of each group one row of slots for each window, then its runs, in plan order. What no
 * feature needs is left as it was. Of different values only their number is kept. A read is over before another begins.
 */
export class WindowCells {
  /** NaN: nothing was there. Of a sum of squares the low half. */
  readonly numbers: Float64Array
  /** The high halves of sums of squares (see cells.ts). */
  readonly highs: Float64Array
  readonly points: Points[]
  /**
   * Of the group and delay that is being read: the row after the newest tile, then the first row of each window, from
   * the shortest on.
   */
  readonly bounds: Int32Array
  readonly counter: ValueCounter

  /** `codes` are those of the plan whose tables are read. */
  constructor(size: number, codes: ValueCodes) {
    this.numbers = new Float64Array(size)
    this.highs = new Float64Array(size)
    this.points = new Array<Points>(size).fill(noPoints)
    this.bounds = new Int32Array(size + 1)
    this.counter = new ValueCounter(codes)
  }
}

/** Merges the tiles of every window of the group at `timeMs`. */
export function readWindows(table: TileTable, group: TileGroupPlan, timeMs: number, into: WindowCells): void {
  const { slots } = group
  for (const read of group.reads) {
    boundWindows(table, group, read, timeMs, into.bounds)
    for (const { slot, windows } of read.slots) {
      const plan = slots[slot]
      if (plan === undefined) continue
      // What was forgotten belongs to a lifetime, which is the last window.
      const base = table.base !== null && read.windowsMs[windows - 1] === Infinity ? table.base : null
      mergeSlot(table, plan, read.base + slot, windows, slots.length, into, base)
      if (base !== null) mergeBase(base, plan, read.base + (windows - 1) * slots.length + slot, into)
    }
    let at = read.base + read.windowsMs.length * slots.length
    for (const run of read.runs) {
      into.numbers[at] = runOf(table, group, run, into.bounds)
      at += 1
    }
  }
}

function boundWindows(
  table: TileTable,
  { hopMs }: TileGroupPlan,
  read: DelayRead,
  timeMs: number,
  bounds: Int32Array,
): void {
  const { delayMs, windowsMs } = read
  const { cells, width, start } = table
  let row = rowAfter(table, windowEndTile(timeMs, delayMs, hopMs))
  bounds[0] = row
  for (let window = 0; window < windowsMs.length; window += 1) {
    const before = windowStartTile(timeMs, delayMs, windowsMs[window] ?? NaN, hopMs)
    while (row > start && cellAt(cells, (row - 1) * width) > before) row -= 1
    bounds[window + 1] = row
  }
}

/**
 * One walk from the newest tile back serves the first `windows` windows: their cells stand `step` apart. Each kind has
 * a loop of its own, because a call for every row would cost more than what it does.
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
      mergeSums(table, slot.place, at, windows, step, into)
      return
    case 'square_sum':
      mergeSquares(table, slot.place, at, windows, step, into)
      return
    case 'newest_time':
      mergeNewest(table, slot.place, at, windows, step, into)
      return
    case 'min':
    case 'max':
    case 'oldest_time':
      mergeExtremes(table, slot, at, windows, step, into)
      return
    case 'oldest':
    case 'newest':
      joinPoints(table, slot, at, windows, step, into)
      return
    case 'distinct':
      countValues(table, slot, at, windows, step, into, base)
  }
}

/*
 * The loops below read cells and bounds as they are, and what is not there as NaN: a call of `cellAt` for each is
 * slower in `npm run bench -- --only engine`.
 */

function mergeSums(
  { cells, width }: TileTable,
  place: number,
  at: number,
  windows: number,
  step: number,
  { numbers, bounds }: WindowCells,
): void {
  let total = 0
  let row = bounds[0] ?? NaN
  for (let window = 0; window < windows; window += 1) {
    const first = bounds[window + 1] ?? NaN
    while (row > first) {
      row -= 1
      total += cells[row * width + place] ?? NaN
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
  { numbers, highs, bounds }: WindowCells,
): void {
  let [low, high] = [0, 0]
  let row = bounds[0] ?? NaN
  for (let window = 0; window < windows; window += 1) {
    const first = bounds[window + 1] ?? NaN
    while (row > first) {
      row -= 1
      const own = cells[row * width + place] ?? NaN
      high += cells[row * width + place + 1] ?? NaN
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
  { numbers, bounds }: WindowCells,
): void {
  let found = NaN
  let row = bounds[0] ?? NaN
  for (let window = 0; window < windows; window += 1) {
    const first = bounds[window + 1] ?? NaN
    while (row > first && Number.isNaN(found)) {
      row -= 1
      found = cells[row * width + place] ?? NaN
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
  { numbers, bounds }: WindowCells,
): void {
  const sign = kind === 'max' ? -1 : 1
  let found = NaN
  let row = bounds[0] ?? NaN
  for (let window = 0; window < windows; window += 1) {
    const first = bounds[window + 1] ?? NaN
    while (row > first) {
      row -= 1
      const value = cells[row * width + place] ?? NaN
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
  { points, bounds }: WindowCells,
): void {
  const column = lists[slot.list]
  let found = noPoints
  let row = bounds[0] ?? NaN
  for (let window = 0; window < windows; window += 1) {
    const first = bounds[window + 1] ?? NaN
    while (row > first) {
      row -= 1
      found = mergePoints(slot, pointsOf(column?.[row]), found)
    }
    points[at + window * step] = found
  }
}

function countValues(
  { cells, width, lists }: TileTable,
  { place, list, size }: SlotPlan,
  at: number,
  windows: number,
  step: number,
  { numbers, bounds, counter }: WindowCells,
  base: TileRow | null,
): void {
  const column = lists[list]
  counter.begin(size)
  let row = bounds[0] ?? NaN
  for (let window = 0; window < windows; window += 1) {
    const first = bounds[window + 1] ?? NaN
    while (row > first && !counter.isFull) {
      row -= 1
      counter.add(cells[row * width + place] ?? NaN, valuesOf(column?.[row]))
    }
    row = first
    if (base !== null && window === windows - 1) {
      counter.add(base.cells[place] ?? NaN, valuesOf(base.lists[list]))
    }
    numbers[at + window * step] = counter.count
  }
}

/** Merges what was forgotten into a cell; `countValues` has done so for different values. */
function mergeBase(base: TileRow, slot: SlotPlan, at: number, { numbers, highs, points }: WindowCells): void {
  switch (slot.kind) {
    case 'distinct':
      return
    case 'oldest':
    case 'newest':
      points[at] = mergePoints(slot, pointsOf(base.lists[slot.list]), points[at] ?? noPoints)
      return
    default: {
      const cells = [numbers[at] ?? NaN, highs[at] ?? NaN]
      mergeCell(slot.kind, cells, 0, base.cells, slot.place)
      numbers[at] = cells[0] ?? NaN
      highs[at] = cells[1] ?? NaN
    }
  }
}

function runOf(
  { cells, width }: TileTable,
  { slots }: TileGroupPlan,
  { window, matching, all }: RunRead,
  bounds: Int32Array,
): number {
  const [matchingAt, allAt] = [itemAt(slots, matching).place, itemAt(slots, all).place]
  const first = bounds[window + 1] ?? NaN
  let run = 0
  for (let row = (bounds[0] ?? NaN) - 1; row >= first; row -= 1) {
    const [matched, total] = [cells[row * width + matchingAt] ?? NaN, cells[row * width + allAt] ?? NaN]
    if (total === 0) continue
    if (matched < total) break
    run += total
  }
  return run
}
