import type { ByteReader, ByteWriter } from '../../base/bytes.ts'
import { cellAt, putNumber, squaresOf } from './cells.ts'
import { RiverbankError } from '../../base/errors.ts'
import { pointsOf, valuesOf, type Points, type SlotList, type SlotValue, type Values } from './slot.ts'
import { putInColumn, type AllocatedSlot } from './tile-row.ts'

/**
 * The cells of a row begin at `cells[from]`. Numbers that may be missing are written one higher, or behind a byte, so
 * that 0 is nothing.
 */
export function writeSlot(
  writer: ByteWriter,
  { kind, place, codes }: AllocatedSlot,
  cells: readonly number[],
  from: number,
  list: SlotList | undefined,
  tileMs: number,
): void {
  const value = place < 0 ? NaN : cellAt(cells, from + place)
  switch (kind) {
    case 'count':
      writer.unsigned(value)
      return
    case 'sum':
      writer.signed(value)
      return
    case 'square_sum':
      writeSquares(writer, value, cellAt(cells, from + place + 1))
      return
    case 'min':
    case 'max':
      writer.byte(Number.isNaN(value) ? 0 : 1)
      if (!Number.isNaN(value)) writer.signed(value)
      return
    case 'oldest_time':
    case 'newest_time':
      writer.unsigned(Number.isNaN(value) ? 0 : value - tileMs + timeOffset(tileMs))
      return
    case 'oldest':
    case 'newest':
      writePoints(writer, pointsOf(list), tileMs)
      return
    case 'distinct':
      writeValues(writer, codes.valuesIn(value, valuesOf(list)))
  }
}

export function readSlot(
  reader: ByteReader,
  { kind, place, list, codes }: AllocatedSlot,
  cells: number[],
  lists: SlotList[][],
  { row, width, tileMs }: { readonly row: number; readonly width: number; readonly tileMs: number },
): void {
  const at = row * width + place
  switch (kind) {
    case 'count':
      cells[at] = reader.unsigned()
      return
    case 'sum':
      cells[at] = reader.signed()
      return
    case 'square_sum':
      putNumber(kind, cells, at, readSquares(reader))
      return
    case 'min':
    case 'max':
      cells[at] = reader.byte() === 0 ? NaN : reader.signed()
      return
    case 'oldest_time':
    case 'newest_time': {
      const written = reader.unsigned()
      cells[at] = written === 0 ? NaN : written - timeOffset(tileMs) + tileMs
      return
    }
    case 'oldest':
    case 'newest':
      putInColumn(lists, list, row, readPoints(reader, tileMs))
      return
    case 'distinct': {
      const kept = codes.kept(readValues(reader))
      cells[at] = kept.cell
      if (kept.list !== null) putInColumn(lists, list, row, kept.list)
    }
  }
}

/** A base belongs to no tile: its times are absolute, and may be before 1970 (the year 0 at the earliest). */
const yearZeroMs = 62_167_219_200_000

function timeOffset(tileMs: number): number {
  return tileMs === 0 ? yearZeroMs + 1 : 1
}

const writtenLimb = 2n ** 48n

/** Below 2^48 one number; else limbs of 48 bits, the lowest first, after their count. */
function writeSquares(writer: ByteWriter, low: number, high: number): void {
  if (high === 0 && low < 2 ** 48) {
    writer.unsigned(low * 2)
    return
  }
  let rest = BigInt(squaresOf(low, high))
  const limbs: number[] = []
  for (; rest > 0n; rest /= writtenLimb) limbs.push(Number(rest % writtenLimb))
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
    factor *= writtenLimb
  }
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
}

function writePoints(writer: ByteWriter, points: Points, tileMs: number): void {
  writer.unsigned(points.length)
  for (const { timeMs, value } of points) {
    writer.signed(timeMs - tileMs)
    writer.signed(value)
  }
}

function readPoints(reader: ByteReader, tileMs: number): Points {
  return Array.from({ length: reader.unsigned() }, () => ({
    timeMs: reader.signed() + tileMs,
    value: reader.signed(),
  }))
}

const valueTag = { integer: 0, text: 1 } as const
const encoder = new TextEncoder()
const decoder = new TextDecoder()

function writeValues(writer: ByteWriter, values: Values): void {
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

function readValues(reader: ByteReader): Values {
  const count = reader.unsigned()
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
  const ascii = length > longText ? null : reader.ascii(length)
  return ascii ?? decoder.decode(reader.take(length))
}
