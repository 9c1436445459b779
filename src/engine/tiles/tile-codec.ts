import type { ByteReader, ByteWriter } from '../../base/bytes.ts'
import type { TileGroupPlan } from '../tile-group.ts'
import { readSlot, writeSlot } from './slot-codec.ts'
import type { SlotList } from './slot.ts'
import { emptyRow } from './tile-row.ts'
import { emptyTiles, keptFromRows, tableOf, tileAt, type MissingHistory, type TileTable } from './tiles.ts'

/*
 * One table: a byte of what it has, the newest tile dropped at the cap, the missing history, the base; then the number
 * of rows and for each its tile and its slots. Times stand relative to their tile, so that with a hop of a second they
 * take a byte.
 */
const has = { cappedTile: 1, missingHistory: 2, base: 4 } as const

export function writeTiles(writer: ByteWriter, group: TileGroupPlan, table: TileTable): void {
  const { start, end, base, cappedTile, missingHistory } = table
  writer.byte(
    (cappedTile === null ? 0 : has.cappedTile) |
      (missingHistory === null ? 0 : has.missingHistory) |
      (base === null ? 0 : has.base),
  )
  if (cappedTile !== null) writer.signed(cappedTile)
  if (missingHistory !== null) for (const missing of missingHistory) writeMissingHistory(writer, missing)
  if (base !== null)
    for (const slot of group.slots) if (slot.lifetime) writeSlot(writer, slot, base.cells, 0, base.lists[slot.list], 0)
  writer.unsigned(end - start)
  if (start === end) return
  // A first row has nothing before it, so its tile is absolute.
  writer.signed(tileAt(table, start))
  writeSlots(writer, group, table, start)
  if (end - start < keptFromRows) writeRows(writer, group, table, start + 1)
  else writeKept(writer, group, table)
}

/** Writes all rows but the first; copies the bytes of those that were written before. */
function writeKept(writer: ByteWriter, group: TileGroupPlan, table: TileTable): void {
  const { start, end, written } = table
  const next = start + 1
  if (written.first + written.ends.length <= next) Object.assign(written, { first: next, ends: [] })
  const { first, ends, bytes } = written
  // An older version still has rows that the others have forgotten.
  if (next < first) {
    writeRows(writer, group, table, next)
    return
  }
  const endOf = (row: number) => (row < first ? 0 : (ends[row - first] ?? NaN))
  const known = Math.min(end, first + ends.length)
  writer.copy(bytes.subarray(endOf(start), endOf(known - 1)))
  if (known === end) return
  const [from, before] = [writer.position, endOf(known - 1)]
  writeRows(writer, group, table, known, (position) => ends.push(before + position - from))
  written.bytes = joined(bytes, before, writer.since(from))
}

/** Appends rows, with room for about as many again: a table grows by one row at a time. */
function joined(bytes: Uint8Array, length: number, added: Uint8Array): Uint8Array {
  const total = length + added.length
  const target = total <= bytes.length ? bytes : new Uint8Array(total + Math.max(added.length, total >> 2))
  if (target !== bytes) target.set(bytes.subarray(0, length))
  target.set(added, length)
  return target
}

function writeRows(
  writer: ByteWriter,
  group: TileGroupPlan,
  table: TileTable,
  from: number,
  wrote?: (position: number) => void,
): void {
  for (let row = from; row < table.end; row += 1) {
    writer.unsigned(tileAt(table, row) - tileAt(table, row - 1))
    writeSlots(writer, group, table, row)
    wrote?.(writer.position)
  }
}

function writeSlots(writer: ByteWriter, { slots, hopMs }: TileGroupPlan, table: TileTable, row: number): void {
  const { cells, lists, width } = table
  const tileMs = tileAt(table, row) * hopMs
  for (const slot of slots) writeSlot(writer, slot, cells, row * width, lists[slot.list]?.[row], tileMs)
}

export function readTiles(reader: ByteReader, group: TileGroupPlan): TileTable {
  const { slots, layout, hopMs } = group
  const found = reader.byte()
  const cappedTile = (found & has.cappedTile) === 0 ? null : reader.signed()
  const missingHistory = (found & has.missingHistory) === 0 ? null : slots.map(() => readMissingHistory(reader))
  const base = (found & has.base) === 0 ? null : emptyRow(layout, 0)
  if (base !== null) {
    const lists: SlotList[][] = []
    for (const slot of slots)
      if (slot.lifetime) readSlot(reader, slot, base.cells, lists, { row: 0, width: 0, tileMs: 0 })
    for (const [list, column] of lists.entries()) base.lists[list] = column[0]
  }
  const count = reader.unsigned()
  if (count === 0) return { ...emptyTiles(group), base, cappedTile, missingHistory }
  const { width, empty } = layout
  // As `placed` made it: doubles side by side.
  const cells = empty.slice()
  const lists: SlotList[][] = []
  const at = { row: 0, width, tileMs: 0 }
  for (let tile = 0; at.row < count; at.row += 1) {
    tile = at.row === 0 ? reader.signed() : tile + reader.unsigned()
    at.tileMs = tile * hopMs
    if (at.row > 0) for (let cell = 0; cell < width; cell += 1) cells.push(0)
    cells[at.row * width] = tile
    for (const slot of slots) readSlot(reader, slot, cells, lists, at)
  }
  return { ...tableOf(width, cells, lists), base, cappedTile, missingHistory }
}

function writeMissingHistory(writer: ByteWriter, missing: MissingHistory | null): void {
  writer.byte(missing === null ? 0 : 1)
  if (missing === null) return
  writer.unsigned(missing.since)
  writer.signed(missing.tile)
}

function readMissingHistory(reader: ByteReader): MissingHistory | null {
  return reader.byte() === 0 ? null : { since: reader.unsigned(), tile: reader.signed() }
}
