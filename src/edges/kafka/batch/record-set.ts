import { crc32c } from '@node-rs/crc32'
import { Cursor } from './cursor.ts'
import { Damage, need } from './damage.ts'
import { decompress } from './decompress.ts'
import { FetchedBatch, FetchedRecord, type BatchContext } from './fetched-record.ts'

export interface RecordSetLimits {
  /**
   * The size of one batch after decompression; a larger one is unreadable. A fetch with so much reads no further batch.
   */
  readonly decodedBytesMax: number
  /** Records of one batch. */
  readonly recordsMax: number
}

/** The bytes before those that `length` counts: offset and length. */
const prefixBytes = 12
const magicAt = 16
const headerBytes = 61
/** The smallest message of the formats before batches. */
const messageBytesMin = 14
const noBytes = Buffer.alloc(0)

/**
 * The records in one fetch of one partition. An unreadable batch is one record with a fault: its value is the batch,
 * its offset the batch's last, so that a reader goes on after it. The end of a fetch may be cut.
 */
export function readRecordSet(bytes: Buffer, limits: RecordSetLimits): FetchedRecord[] {
  const records: FetchedRecord[] = []
  let decoded = 0
  for (let at = 0; at + magicAt < bytes.length && decoded < limits.decodedBytesMax;) {
    const length = bytes.readInt32BE(at + 8)
    // A length below that of any format does not show where the next batch begins.
    const end = length < messageBytesMin ? bytes.length : at + prefixBytes + length
    if (end > bytes.length) break
    const batch = bytes.subarray(at, end)
    const follower = end + 8 <= bytes.length ? Number(bytes.readBigInt64BE(end)) : null
    const found = readBatch(batch, limits, follower)
    for (const record of found.records) records.push(record)
    decoded += found.bytes
    at = end
  }
  return records
}

interface BatchRead {
  readonly records: readonly FetchedRecord[]
  /** The size after decompression. */
  readonly bytes: number
}

function readBatch(batch: Buffer, limits: RecordSetLimits, follower: number | null): BatchRead {
  const base = Number(batch.readBigInt64BE(0))
  const magic = batch.readInt8(magicAt)
  if (magic !== 2 || batch.length < headerBytes) {
    return unreadable(
      batch,
      base,
      `message format ${magic}, ${batch.length} bytes: only whole batches of format 2 are read`,
    )
  }
  const last = base + batch.readInt32BE(23)
  if (batch.readUInt32BE(17) !== crc32c(batch.subarray(21))) {
    return unreadable(batch, lastOf(batch, base, follower), 'the checksum of the batch is another one')
  }
  try {
    return decodeBatch(batch, base, limits)
  } catch (error) {
    if (!(error instanceof Damage)) throw error
    return unreadable(batch, Math.max(base, last), error.message)
  }
}

/** The last offset of a batch whose header may be damaged: too low reads it again, too high would skip records. */
function lastOf(batch: Buffer, base: number, follower: number | null): number {
  const delta = batch.readInt32BE(23)
  const isPlausible = delta >= 0 && batch.readInt32BE(57) === delta + 1
  const last = isPlausible ? base + delta : base
  return follower !== null && follower > base ? Math.min(last, follower - 1) : last
}

function decodeBatch(batch: Buffer, base: number, { decodedBytesMax, recordsMax }: RecordSetLimits): BatchRead {
  const count = batch.readInt32BE(57)
  need(count >= 0 && count <= recordsMax, `${count} records in a batch, at most ${recordsMax} are read`)
  const context = contextOf(batch)
  // Compaction has emptied the batch: without a record kafkajs would take the partition for read to its end.
  if (count === 0) return { records: [placeholder(batch, context, base + batch.readInt32BE(23))], bytes: 0 }
  const bytes = decompress(batch.readInt16BE(21) & 7, batch.subarray(headerBytes), decodedBytesMax)
  const fetched = new FetchedBatch({ bytes: batch, records: bytes, context, fault: null })
  const cursor = new Cursor(bytes)
  const stamp = stampsOf(batch)
  const records: FetchedRecord[] = []
  const lastDelta = batch.readInt32BE(23)
  let next = 0
  for (let i = 0; i < count; i += 1) {
    const length = cursor.length()
    const end = cursor.position + length
    cursor.skip(1)
    const timeMs = stamp(cursor)
    const delta = cursor.varint()
    need(delta >= next && delta <= lastDelta, 'a record is not at an offset of its batch')
    next = delta + 1
    records.push(new FetchedRecord(fetched, base + delta, timeMs, cursor.position, end))
    checkParts(cursor)
    need(cursor.position === end, 'a record is not as long as its parts')
  }
  need(cursor.position === bytes.length, 'a batch is longer than its records')
  return { records, bytes: bytes.length }
}

/** Passes key, value and headers: every length of theirs is inside of the batch. */
function checkParts(cursor: Cursor): void {
  cursor.skipBytes()
  cursor.skipBytes()
  const headers = cursor.varint()
  need(headers >= 0, 'a record has less than no headers')
  for (let i = 0; i < headers; i += 1) {
    need(cursor.skipBytes() >= 0, 'a header has no name')
    cursor.skipBytes()
  }
}

/** The broker's time for the whole batch, or each record's own. */
function stampsOf(batch: Buffer): (cursor: Cursor) => number {
  const isAppendTime = (batch.readInt16BE(21) & 8) !== 0
  const time = batch.readBigInt64BE(isAppendTime ? 35 : 27)
  if (!isAppendTime) return (cursor) => Number(time + cursor.varlong())
  const timeMs = Number(time)
  return (cursor) => {
    cursor.skipVarint()
    return timeMs
  }
}

function contextOf(batch: Buffer): BatchContext {
  const attributes = batch.readInt16BE(21)
  return {
    producerId: String(batch.readBigInt64BE(43)),
    inTransaction: (attributes & 0x10) !== 0,
    isControlBatch: (attributes & 0x20) !== 0,
  }
}

const plainContext: BatchContext = { producerId: '-1', inTransaction: false, isControlBatch: false }

/** A record that no handler gets; it carries the offset to which the partition was read. */
function placeholder(bytes: Buffer, context: BatchContext, last: number): FetchedRecord {
  const marker = { ...context, isControlBatch: true }
  return new FetchedRecord(new FetchedBatch({ bytes, records: noBytes, context: marker, fault: null }), last, 0)
}

function unreadable(bytes: Buffer, offset: number, detail: string): BatchRead {
  const hasHeader = bytes.length >= headerBytes && bytes.readInt8(magicAt) === 2
  const timeMs = hasHeader ? Number(bytes.readBigInt64BE(35)) : 0
  // Handlers never get an aborted batch, not even an unreadable one.
  const context = hasHeader ? { ...contextOf(bytes), isControlBatch: false } : plainContext
  const fault = { code: 'batch_unreadable', detail } as const
  const batch = new FetchedBatch({ bytes, records: noBytes, context, fault })
  // It was not decompressed.
  return { records: [new FetchedRecord(batch, offset, timeMs)], bytes: 0 }
}
