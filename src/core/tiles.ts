import { assert } from './errors.ts'
import type { DelayRead, RunRead, TileGroupPlan } from './plan.ts'
import type { Accumulator, SlotValue } from './slot.ts'
import { windowEndTile, windowStartTile } from './window.ts'

/** What a slot does not know: the observations with a smaller sequence number than `since`, up to and in `tile`. */
export interface Gap {
  readonly since: number
  readonly tile: number
}

/**
 * Sparse tiles of one hop. Rows `start` ≤ row < `end`, oldest first: `columns[k][row]` is the accumulator of slot k in
 * tile `index[row]`. The arrays are shared with older versions of the table, which end earlier: a row is appended in
 * place when nobody has done so before, and everything else copies first.
 */
export interface TileTable {
  index: number[]
  columns: Accumulator[][]
  start: number
  end: number
  /** Rows from here on are this version's own. */
  ownFrom: number
  /** Everything forgotten so far, by slot; null before there is any, or when no lifetime window reads the group. */
  base: readonly Accumulator[] | null
  /** The newest tile dropped because there were too many; null when there never were. */
  cappedTile: number | null
  /** By slot; null when nothing is missing. A new slot of a state that is older than it has one until history is added. */
  gaps: readonly (Gap | null)[] | null
  written: WrittenRows
}

/**
 * Rows as bytes, so that one is written once although its table is written again and again. Row `first` + i ends before
 * `bytes[ends[i]]`. Shared like the arrays, and no part of the value: whoever writes tables fills it, a row that changes
 * is taken out with all after it.
 */
export interface WrittenRows {
  first: number
  bytes: Uint8Array
  ends: number[]
}

/** Of every empty table: a first row begins arrays of its own. */
const noTiles: number[] = []
const noValues: Accumulator[] = []
const noBytes = new Uint8Array(0)

/** From so many rows on bytes are kept; of smaller tables the memory is worth more. */
export const keptFromRows = 8
/** Of every table that is too small. */
const neverWritten: WrittenRows = { first: 0, bytes: noBytes, ends: noTiles }

function nothingWritten(rows: number): WrittenRows {
  return rows < keptFromRows ? neverWritten : { first: 0, bytes: noBytes, ends: noTiles }
}

export function emptyTiles(group: TileGroupPlan): TileTable {
  return tableOf(noTiles, noColumns(group.slots.length))
}

const emptyColumns: Accumulator[][][] = []

/** A first row brings columns of its own, so all empty tables of a width share theirs. */
function noColumns(width: number): Accumulator[][] {
  return (emptyColumns[width] ??= Array.from({ length: width }, () => noValues))
}

export function tableOf(index: number[], columns: Accumulator[][]): TileTable {
  const end = index.length
  const written = nothingWritten(end)
  return { index, columns, start: 0, end, ownFrom: 0, base: null, cappedTile: null, gaps: null, written }
}

/** A version to change: what it shares with `table` it copies before it changes it. */
export function nextVersion(table: TileTable): TileTable {
  const { index, columns, start, end, base, cappedTile, gaps, written } = table
  return { index, columns, start, end, ownFrom: end, base, cappedTile, gaps, written }
}

/** Adds a value to the tile of an observation; the tile is above what the table has forgotten. */
export function updateSlot(
  table: TileTable,
  group: TileGroupPlan,
  at: { readonly tile: number; readonly timeMs: number },
  slot: number,
  value: SlotValue,
): void {
  const row = rowOf(table, group, at.tile)
  const column = table.columns[slot]
  const plan = group.slots[slot]
  assert(column !== undefined && plan !== undefined, 'a table has all slots of its group')
  column[row] = plan.algebra.update(column[row] as Accumulator, value, at.timeMs)
  forgetWritten(table, row)
}

/** A row of the tile that may be changed, made when there is none. Most observations are the newest. */
function rowOf(table: TileTable, group: TileGroupPlan, tile: number): number {
  if (table.start === table.end) return firstRow(table, group, tile)
  const row = rowAfter(table, tile)
  const isThere = row > table.start && table.index[row - 1] === tile
  if (isThere && row - 1 >= table.ownFrom) return row - 1
  const mayInsert = !isThere && row >= table.ownFrom && table.index.length === table.end
  if (!mayInsert) copyRows(table)
  // Copying moves the rows to the front of new arrays.
  const place = mayInsert ? row : rowAfter(table, tile)
  if (isThere) return place - 1
  insertRow(table, group, place, tile)
  return place
}

/** Arrays for one row: most tables never have a second one, and an array that grows by a push takes room for more. */
function firstRow(table: TileTable, group: TileGroupPlan, tile: number): number {
  table.index = [tile]
  table.columns = group.slots.map((slot) => [slot.algebra.empty])
  table.start = 0
  table.end = 1
  table.ownFrom = 0
  table.written = neverWritten
  return 0
}

function insertRow(table: TileTable, group: TileGroupPlan, place: number, tile: number): void {
  const { index, columns } = table
  const isLast = place === index.length
  if (isLast) index.push(tile)
  else index.splice(place, 0, tile)
  for (let slot = 0; slot < columns.length; slot += 1) {
    const column = columnOf(table, slot)
    if (isLast) column.push(emptyOf(group, slot))
    else column.splice(place, 0, emptyOf(group, slot))
  }
  table.end += 1
  if (table.written === neverWritten) table.written = nothingWritten(table.end - table.start)
}

function copyRows(table: TileTable): void {
  table.index = table.index.slice(table.start, table.end)
  table.columns = table.columns.map((column) => column.slice(table.start, table.end))
  table.start = 0
  table.end = table.index.length
  table.ownFrom = 0
  table.written = nothingWritten(table.end)
}

/** Of a row that changes, and those after it: they moved when it is new. */
function forgetWritten({ written }: TileTable, row: number): void {
  const kept = Math.max(0, row - written.first)
  if (written.ends.length > kept) written.ends.length = kept
}

/** The first row whose tile is newer. */
function rowAfter(table: TileTable, tile: number): number {
  let row = table.end
  while (row > table.start && (table.index[row - 1] as number) > tile) row -= 1
  return row
}

/** Forgotten rows in front of a table are left in memory until they outnumber the others. */
const forgottenRowsMax = 64

/** Forgets every tile up to and including `forgotten`, then the oldest ones above the group's limit. */
export function pruneTiles(table: TileTable, group: TileGroupPlan, forgotten: number): void {
  if (table.gaps !== null) closeGaps(table, group, forgotten)
  let { start } = table
  while (start < table.end && (table.index[start] as number) <= forgotten) start += 1
  const tooMany = table.end - start - group.tilesMax
  if (tooMany > 0) {
    start += tooMany
    table.cappedTile = table.index[start - 1] as number
  }
  if (start === table.start) return
  if (group.slots.some((slot) => slot.lifetime)) mergeIntoBase(table, group, start)
  table.start = start
  if (start > forgottenRowsMax && start > table.end - start) copyRows(table)
}

/** A gap in what is forgotten anyway is none; only a lifetime still misses it. */
function closeGaps(table: TileTable, group: TileGroupPlan, forgotten: number): void {
  const gaps = table.gaps?.map((gap, slot) =>
    gap !== null && gap.tile <= forgotten && group.slots[slot]?.lifetime !== true ? null : gap,
  )
  table.gaps = gaps?.some((gap) => gap !== null) === true ? gaps : null
}

function mergeIntoBase(table: TileTable, group: TileGroupPlan, to: number): void {
  const before = table.base
  table.base = group.slots.map((plan, slot) => {
    if (!plan.lifetime) return plan.algebra.empty
    let merged = before?.[slot] ?? plan.algebra.empty
    const column = columnOf(table, slot)
    for (let row = table.start; row < to; row += 1) {
      merged = plan.algebra.merge(merged, column[row] as Accumulator)
    }
    return merged
  })
}

/**
 * Merges the tiles of every window of the group at `timeMs`. The answer is flat: for each delay one row of slots for
 * each window, then its runs, in plan order. One walk from the newest tile back serves all windows of a delay. Cells
 * that no feature needs stay empty.
 */
export function readWindows(table: TileTable, group: TileGroupPlan, timeMs: number): Accumulator[] {
  const width = group.slots.length
  let cells = 0
  for (const { windowsMs, runs } of group.reads) cells += windowsMs.length * width + runs.length
  // Of its length from the start: an array that grows is copied again and again.
  const merged = new Array<Accumulator>(cells).fill(null)
  let base = 0
  for (const read of group.reads) {
    const bounds = windowRows(table, group, read, timeMs)
    for (const { slot, windows } of read.slots) {
      const { algebra } = group.slots[slot] as TileGroupPlan['slots'][number]
      const column = columnOf(table, slot)
      let value = algebra.empty
      for (let window = 0; window < windows; window += 1) {
        value = algebra.fold(column, bounds[window + 1] as number, bounds[window] as number, value)
        if (read.windowsMs[window] === Infinity && table.base !== null) {
          value = algebra.merge(table.base[slot] as Accumulator, value)
        }
        merged[base + window * width + slot] = value
      }
    }
    base += read.windowsMs.length * width
    for (const run of read.runs) {
      merged[base] = runOf(table, run, bounds)
      base += 1
    }
  }
  return merged
}

/** The row after the newest tile of a delay's windows, then the first row of each window, from the shortest on. */
function windowRows(table: TileTable, group: TileGroupPlan, read: DelayRead, timeMs: number): number[] {
  const { delayMs, windowsMs } = read
  let row = rowAfter(table, windowEndTile(timeMs, delayMs, group.hopMs))
  const bounds = new Array<number>(windowsMs.length + 1)
  bounds[0] = row
  for (let window = 0; window < windowsMs.length; window += 1) {
    const windowMs = windowsMs[window] as number
    const start = windowStartTile(timeMs, delayMs, windowMs, group.hopMs)
    while (row > table.start && (table.index[row - 1] as number) > start) row -= 1
    bounds[window + 1] = row
  }
  return bounds
}

function runOf(table: TileTable, { window, matching, all }: RunRead, bounds: readonly number[]): number {
  const [matchingCounts, allCounts] = [columnOf(table, matching), columnOf(table, all)]
  const first = bounds[window + 1] as number
  let run = 0
  for (let row = (bounds[0] as number) - 1; row >= first; row -= 1) {
    const [matched, total] = [matchingCounts[row] as number, allCounts[row] as number]
    if (total === 0) continue
    if (matched < total) break
    run += total
  }
  return run
}

function columnOf(table: TileTable, slot: number): Accumulator[] {
  const column = table.columns[slot]
  assert(column !== undefined, 'a table has all slots of its group')
  return column
}

function emptyOf(group: TileGroupPlan, slot: number): Accumulator {
  const plan = group.slots[slot]
  assert(plan !== undefined, 'the slot exists')
  return plan.algebra.empty
}

/** What a table holds, without how it holds it: equal tables are deeply equal. */
export function plainTable(table: TileTable) {
  const { base, cappedTile, gaps } = table
  const rows = []
  for (let row = table.start; row < table.end; row += 1) {
    rows.push({ tile: table.index[row], values: table.columns.map((column) => column[row]) })
  }
  return { rows, base, cappedTile, gaps }
}
