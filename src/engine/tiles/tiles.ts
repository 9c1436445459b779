import { itemAt } from '../../base/arrays.ts'
import type { TileGroupPlan } from '../tile-group.ts'
import { cellAt } from './cells.ts'
import type { SlotList } from './slot.ts'
import { emptyRow, mergeEarlier, noPoints, putInColumn, valueIn, type RowLayout, type TileRow } from './tile-row.ts'

/** What a slot does not know: the observations with a smaller sequence number than `since`, up to and in `tile`. */
export interface MissingHistory {
  readonly since: number
  readonly tile: number
}

/**
 * Sparse tiles of one hop. Rows `start` ≤ row < `end`, oldest first: row r is the `width` numbers from `cells[r ·
 * width]` on, its tile first, and `lists[k][r]` for what is no number; where that is missing it is empty. Side by side,
 * because reading from memory is what a state costs. Older versions of the table share the arrays and end earlier: the
 * first version that appends a row does so in place, and everything else copies first.
 */
export interface TileTable {
  readonly width: number
  cells: number[]
  lists: SlotList[][]
  start: number
  end: number
  /** Rows from here on are this version's own. */
  ownFrom: number
  /** Everything forgotten so far; null before there is any, or when no lifetime window reads the group. */
  base: TileRow | null
  /** The newest tile dropped because there were too many; null when there never were. */
  cappedTile: number | null
  /** By slot; null when nothing is missing. A slot newer than its state lacks history until that is added. */
  missingHistory: readonly (MissingHistory | null)[] | null
  written: WrittenRows
}

/**
 * Rows as bytes, so that each is encoded once however often its table is written. Row `first` + i ends before
 * `bytes[ends[i]]`. Shared like the arrays, and no part of the value: the tile codec fills it, and a row that changes
 * is taken out with all after it.
 */
export interface WrittenRows {
  first: number
  bytes: Uint8Array
  ends: number[]
}

/** Shared by the empty tables: a first row begins arrays of its own. */
const noNumbers: number[] = []
const noLists: SlotList[][] = []
const noBytes = new Uint8Array(0)

/** Tables keep bytes from this many rows on; for smaller ones the memory is worth more. */
export const keptFromRows = 8
/** Shared by the smaller tables; a larger one has bytes of its own. */
const neverWritten: WrittenRows = { first: 0, bytes: noBytes, ends: noNumbers }

function nothingWritten(rows: number): WrittenRows {
  return rows < keptFromRows ? neverWritten : { first: 0, bytes: noBytes, ends: noNumbers }
}

export function emptyTiles({ layout }: Pick<TileGroupPlan, 'layout'>): TileTable {
  return tableOf(layout.width, noNumbers, noLists)
}

export function tableOf(width: number, cells: number[], lists: SlotList[][]): TileTable {
  const end = cells.length / width
  const written = nothingWritten(end)
  return { width, cells, lists, start: 0, end, ownFrom: 0, base: null, cappedTile: null, missingHistory: null, written }
}

/** A table of its own, of rows in the order of their tiles. */
export function tableOfRows({ width }: RowLayout, rows: readonly TileRow[]): TileTable {
  if (rows.length === 0) return tableOf(width, noNumbers, noLists)
  const columns: SlotList[][] = []
  for (const [number, row] of rows.entries()) {
    for (const [list, values] of row.lists.entries()) {
      if (values !== undefined && values.length > 0) putInColumn(columns, list, number, values)
    }
  }
  const cells = itemAt(rows, 0).cells.slice()
  for (const row of rows.slice(1)) cells.push(...row.cells)
  return tableOf(width, cells, columns)
}

/** A copy of one row. */
export function rowAt({ cells, lists, width }: TileTable, row: number): TileRow {
  return {
    cells: cells.slice(row * width, (row + 1) * width),
    lists: lists.map((column) => column[row]),
  }
}

export function tileAt({ cells, width }: TileTable, row: number): number {
  return cellAt(cells, row * width)
}

/** A version to change: what it shares with `table` it copies before it changes it. */
export function nextVersion(table: TileTable): TileTable {
  const { width, cells, lists, start, end, base, cappedTile, missingHistory, written } = table
  return { width, cells, lists, start, end, ownFrom: end, base, cappedTile, missingHistory, written }
}

/** A row of the tile that may be changed, made when there is none; the tile is above what the table has forgotten. */
export function rowFor(table: TileTable, group: TileGroupPlan, tile: number): number {
  const row = changeableRow(table, group, tile)
  forgetWritten(table, row)
  return row
}

/** Most observations are the newest. */
function changeableRow(table: TileTable, group: TileGroupPlan, tile: number): number {
  if (table.start === table.end) return firstRow(table, group, tile)
  const row = rowAfter(table, tile)
  const isThere = row > table.start && tileAt(table, row - 1) === tile
  if (isThere && row - 1 >= table.ownFrom) return row - 1
  const mayInsert = !isThere && row >= table.ownFrom && table.cells.length === table.end * table.width
  if (!mayInsert) copyRows(table)
  // Copying moves the rows to the front of new arrays.
  const place = mayInsert ? row : rowAfter(table, tile)
  if (isThere) return place - 1
  insertRow(table, group, place, tile)
  return place
}

/** Arrays for one row: most tables never have a second one, and an array that grows by a push takes room for more. */
function firstRow(table: TileTable, { layout }: TileGroupPlan, tile: number): number {
  table.cells = emptyRow(layout, tile).cells
  table.lists = layout.lists === 0 ? noLists : []
  table.start = 0
  table.end = 1
  table.ownFrom = 0
  table.written = neverWritten
  return 0
}

function insertRow(table: TileTable, { layout }: TileGroupPlan, place: number, tile: number): void {
  const { cells, lists, end, width } = table
  for (let cell = 0; cell < width; cell += 1) cells.push(cellAt(layout.empty, cell))
  if (place < end) cells.copyWithin((place + 1) * width, place * width, end * width)
  for (let cell = 0; cell < width; cell += 1) cells[place * width + cell] = cellAt(layout.empty, cell)
  cells[place * width] = tile
  for (const column of lists) if (place < column.length) column.splice(place, 0, noPoints)
  table.end += 1
  if (table.written === neverWritten) table.written = nothingWritten(table.end - table.start)
}

function copyRows(table: TileTable): void {
  const { start, end, width } = table
  table.cells = table.cells.slice(start * width, end * width)
  table.lists = table.lists.map((column) => column.slice(start, end))
  table.start = 0
  table.end = end - start
  table.ownFrom = 0
  table.written = nothingWritten(table.end)
}

/** Drops the bytes of a row that changes, and of those after it: they moved when it is new. */
function forgetWritten({ written }: TileTable, row: number): void {
  const kept = Math.max(0, row - written.first)
  if (written.ends.length > kept) written.ends.length = kept
}

/** The row of a tile, -1 where there is none. */
export function findRow(table: TileTable, tile: number): number {
  const row = rowAfter(table, tile) - 1
  return row >= table.start && tileAt(table, row) === tile ? row : -1
}

/** The first row whose tile is newer. */
export function rowAfter({ cells, width, start, end }: TileTable, tile: number): number {
  let row = end
  while (row > start && cellAt(cells, (row - 1) * width) > tile) row -= 1
  return row
}

/** Forgotten rows in front of a table are left in memory until they outnumber the others. */
const forgottenRowsMax = 64

/** Forgets every tile up to and including `forgotten`, then the oldest ones above the group's limit. */
export function pruneTiles(table: TileTable, group: TileGroupPlan, forgotten: number): void {
  if (table.missingHistory !== null) endMissingHistory(table, group, forgotten)
  let { start } = table
  while (start < table.end && tileAt(table, start) <= forgotten) start += 1
  const tooMany = table.end - start - group.tilesMax
  if (tooMany > 0) {
    start += tooMany
    table.cappedTile = tileAt(table, start - 1)
  }
  if (start === table.start) return
  if (group.slots.some((slot) => slot.lifetime)) mergeIntoBase(table, group, start)
  table.start = start
  if (start > forgottenRowsMax && start > table.end - start) copyRows(table)
}

/** Missing history that is forgotten anyway ends; only a lifetime slot still misses it. */
function endMissingHistory(table: TileTable, group: TileGroupPlan, forgotten: number): void {
  const missingHistory = table.missingHistory?.map((missing, slot) =>
    missing !== null && missing.tile <= forgotten && group.slots[slot]?.lifetime !== true ? null : missing,
  )
  table.missingHistory = missingHistory?.some((missing) => missing !== null) === true ? missingHistory : null
}

function mergeIntoBase(table: TileTable, { layout, slots }: TileGroupPlan, to: number): void {
  let merged = table.base ?? emptyRow(layout, 0)
  for (let row = table.start; row < to; row += 1) {
    // What is merged is later than the base, and becomes the base: slots without a lifetime stay empty.
    const later = emptyRow(layout, 0)
    const own = rowAt(table, row)
    for (const slot of slots) {
      if (!slot.lifetime) continue
      mergeEarlier(slot, later, own)
      mergeEarlier(slot, later, merged)
    }
    merged = later
  }
  table.base = merged
}

/** What tables hold, without how they hold it: equal ones are deeply equal. */
export function plainTables({ groups }: { readonly groups: readonly TileGroupPlan[] }, tables: readonly TileTable[]) {
  return tables.map((table, number) => {
    const slots = groups[number]?.slots ?? []
    const valuesOf = (row: TileRow) => slots.map((slot) => valueIn(row, slot))
    const rows = []
    for (let row = table.start; row < table.end; row += 1) {
      rows.push({ tile: tileAt(table, row), values: valuesOf(rowAt(table, row)) })
    }
    const { base, cappedTile, missingHistory } = table
    return { rows, base: base === null ? null : valuesOf(base), cappedTile, missingHistory }
  })
}
