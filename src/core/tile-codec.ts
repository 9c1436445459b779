import type { ByteReader, ByteWriter } from './bytes.ts'
import { RiverbankError } from './errors.ts'
import type { SlotPlan, TileGroupPlan } from './plan.ts'
import { onlyValue, type Accumulator, type Point, type SlotValue } from './slot.ts'
import { keptFromRows, tableOf, type Gap, type TileTable } from './tiles.ts'

/*
 * One table: a byte of what it has, the newest tile dropped at the cap, the gaps, the base; then the number of rows and
 * for each its tile and its slots. Times stand relative to their tile, so that with a hop of a second they take a byte.
 */
const has = { cappedTile: 1, gaps: 2, base: 4 } as const

export function writeTiles(writer: ByteWriter, group: TileGroupPlan, table: TileTable): void {
  const { index, start, end, base, cappedTile, gaps } = table
  writer.byte(
    (cappedTile === null ? 0 : has.cappedTile) | (gaps === null ? 0 : has.gaps) | (base === null ? 0 : has.base),
  )
  if (cappedTile !== null) writer.signed(cappedTile)
  if (gaps !== null) for (const gap of gaps) writeGap(writer, gap)
  if (base !== null) {
    for (const [slot, plan] of group.slots.entries()) {
      if (plan.lifetime) writeValue(writer, plan, base[slot] ?? plan.algebra.empty, 0)
    }
  }
  writer.unsigned(end - start)
  if (start === end) return
  // A first row has nothing before it, so its tile is absolute.
  writer.signed(index[start] as number)
  writeSlots(writer, group, table, start)
  if (end - start < keptFromRows) writeRows(writer, group, table, start + 1)
  else writeKept(writer, group, table)
}

/** All rows but the first; those that were written before, as they were then. */
function writeKept(writer: ByteWriter, group: TileGroupPlan, table: TileTable): void {
  const { start, end, written } = table
  const next = start + 1
  if (written.first + written.ends.length <= next) Object.assign(written, { first: next, ends: [] })
  const { first, ends, bytes } = written
  // An older version, which still has what the others have forgotten.
  if (next < first) {
    writeRows(writer, group, table, next)
    return
  }
  const endOf = (row: number) => (row < first ? 0 : (ends[row - first] as number))
  const known = Math.min(end, first + ends.length)
  writer.copy(bytes.subarray(endOf(start), endOf(known - 1)))
  if (known === end) return
  const [from, before] = [writer.position, endOf(known - 1)]
  writeRows(writer, group, table, known, (position) => ends.push(before + position - from))
  written.bytes = joined(bytes, before, writer.since(from))
}

/** With room for about as many rows again as are added: a table grows by one row at a time. */
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
  const { index, end } = table
  for (let row = from; row < end; row += 1) {
    writer.unsigned((index[row] as number) - (index[row - 1] as number))
    writeSlots(writer, group, table, row)
    wrote?.(writer.position)
  }
}

function writeSlots(writer: ByteWriter, group: TileGroupPlan, { index, columns }: TileTable, row: number): void {
  const tileMs = (index[row] as number) * group.hopMs
  for (let slot = 0; slot < columns.length; slot += 1) {
    writeValue(writer, group.slots[slot] as SlotPlan, columns[slot]?.[row] as Accumulator, tileMs)
  }
}

export function readTiles(reader: ByteReader, group: TileGroupPlan): TileTable {
  const found = reader.byte()
  const cappedTile = (found & has.cappedTile) === 0 ? null : reader.signed()
  const gaps = (found & has.gaps) === 0 ? null : group.slots.map(() => readGap(reader))
  const base =
    (found & has.base) === 0
      ? null
      : group.slots.map((plan) => (plan.lifetime ? readValue(reader, plan, 0) : plan.algebra.empty))
  const count = reader.unsigned()
  const index: number[] = []
  const columns: Accumulator[][] = group.slots.map(() => [])
  let tile = 0
  for (let row = 0; row < count; row += 1) {
    tile = row === 0 ? reader.signed() : tile + reader.unsigned()
    index.push(tile)
    for (let slot = 0; slot < columns.length; slot += 1) {
      columns[slot]?.push(readValue(reader, group.slots[slot] as SlotPlan, tile * group.hopMs))
    }
  }
  return { ...tableOf(index, columns), base, cappedTile, gaps }
}

function writeGap(writer: ByteWriter, gap: Gap | null): void {
  writer.byte(gap === null ? 0 : 1)
  if (gap === null) return
  writer.unsigned(gap.since)
  writer.signed(gap.tile)
}

function readGap(reader: ByteReader): Gap | null {
  return reader.byte() === 0 ? null : { since: reader.unsigned(), tile: reader.signed() }
}

/** Numbers that may be missing are written one higher, so that 0 is nothing. */
function writeValue(writer: ByteWriter, { kind }: SlotPlan, value: Accumulator, tileMs: number): void {
  switch (kind) {
    case 'count':
      writer.unsigned(value as number)
      return
    case 'sum':
      writer.signed(value as number)
      return
    case 'square_sum':
      writeSquares(writer, value as number | bigint)
      return
    case 'min':
    case 'max':
      writer.byte(value === null ? 0 : 1)
      if (value !== null) writer.signed(value as number)
      return
    case 'oldest_time':
    case 'newest_time':
      if (value === null) writer.unsigned(0)
      else writer.unsigned((value as number) - tileMs + timeOffset(tileMs))
      return
    case 'oldest':
    case 'newest':
      writePoints(writer, value as readonly Point[], tileMs)
      return
    case 'distinct':
      writeValues(writer, value as readonly SlotValue[])
  }
}

function readValue(reader: ByteReader, { kind }: SlotPlan, tileMs: number): Accumulator {
  switch (kind) {
    case 'count':
      return reader.unsigned()
    case 'sum':
      return reader.signed()
    case 'square_sum':
      return readSquares(reader)
    case 'min':
    case 'max':
      return reader.byte() === 0 ? null : reader.signed()
    case 'oldest_time':
    case 'newest_time': {
      const written = reader.unsigned()
      return written === 0 ? null : written - timeOffset(tileMs) + tileMs
    }
    case 'oldest':
    case 'newest':
      return readPoints(reader, tileMs)
    case 'distinct':
      return readValues(reader)
  }
}

/** A base belongs to no tile: its times are absolute, and may be before 1970 (the year 0 at the earliest). */
const yearZeroMs = 62_167_219_200_000

function timeOffset(tileMs: number): number {
  return tileMs === 0 ? yearZeroMs + 1 : 1
}

const limb = 2n ** 48n

/** As limbs of 48 bits, the lowest first; how many says the first byte. */
function writeSquares(writer: ByteWriter, value: number | bigint): void {
  if (typeof value === 'number' && value < 2 ** 48) {
    writer.unsigned(value * 2)
    return
  }
  let rest = BigInt(value)
  const limbs: number[] = []
  for (; rest > 0n; rest /= limb) limbs.push(Number(rest % limb))
  writer.unsigned(limbs.length * 2 + 1)
  for (const part of limbs) writer.unsigned(part)
}

function readSquares(reader: ByteReader): number | bigint {
  const written = reader.unsigned()
  if (written % 2 === 0) return written / 2
  let value = 0n
  let factor = 1n
  for (let left = (written - 1) / 2; left > 0; left -= 1) {
    value += BigInt(reader.unsigned()) * factor
    factor *= limb
  }
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
}

function writePoints(writer: ByteWriter, points: readonly Point[], tileMs: number): void {
  writer.unsigned(points.length)
  for (const { timeMs, value } of points) {
    writer.signed(timeMs - tileMs)
    writer.signed(value)
  }
}

function readPoints(reader: ByteReader, tileMs: number): readonly Point[] {
  return Array.from({ length: reader.unsigned() }, () => ({
    timeMs: reader.signed() + tileMs,
    value: reader.signed(),
  }))
}

const valueTag = { integer: 0, text: 1 } as const
const encoder = new TextEncoder()
const decoder = new TextDecoder()

function writeValues(writer: ByteWriter, values: readonly SlotValue[]): void {
  writer.unsigned(values.length)
  for (const value of values) {
    if (typeof value === 'number') {
      writer.unsigned(valueTag.integer)
      writer.signed(value)
    } else {
      writeText(writer, value)
    }
  }
}

function readValues(reader: ByteReader): readonly SlotValue[] {
  const count = reader.unsigned()
  if (count === 1) return onlyValue(readOne(reader))
  const values: SlotValue[] = []
  for (let left = count; left > 0; left -= 1) values.push(readOne(reader))
  return values
}

function readOne(reader: ByteReader): SlotValue {
  const written = reader.unsigned()
  if (written % 2 !== valueTag.integer) return readText(reader, (written - 1) / 2)
  if (written !== 0) throw new RiverbankError('state_corrupt', 'a distinct value has an unknown kind')
  return reader.signed()
}

/** UTF-8. Most values are short ids in ASCII: for those the general coders cost more than everything around them. */
function writeText(writer: ByteWriter, text: string): void {
  if (!isAscii(text)) {
    const bytes = encoder.encode(text)
    writer.unsigned(bytes.length * 2 + valueTag.text)
    for (const byte of bytes) writer.byte(byte)
    return
  }
  writer.unsigned(text.length * 2 + valueTag.text)
  for (let i = 0; i < text.length; i += 1) writer.byte(text.charCodeAt(i))
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) > 127) return false
  return true
}

const longText = 64

function readText(reader: ByteReader, length: number): string {
  const bytes = reader.take(length)
  if (length > longText) return decoder.decode(bytes)
  let text = ''
  for (let i = 0; i < length; i += 1) {
    const byte = bytes[i] as number
    if (byte > 127) return decoder.decode(bytes)
    text += String.fromCharCode(byte)
  }
  return text
}
