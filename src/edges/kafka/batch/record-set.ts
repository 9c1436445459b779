import { crc32c } from '@node-rs/crc32'
import type { RecordFault } from '../../../events/codec/record-parts.ts'
import { Cursor } from './cursor.ts'
import { Damage, need } from './damage.ts'
import { decompress } from './decompress.ts'

export interface RecordSetLimits {
  /**
   * The size of one batch after decompression; a larger one is unreadable. A fetch with so much reads no further batch.
   */
  readonly decodedBytesMax: number
  /** Records of one batch. */
  readonly recordsMax: number
}

export type HeaderPair = readonly [name: Buffer, value: Buffer | null]

/** The properties of a record's batch that kafkajs and the group session read. */
interface BatchContext {
  readonly producerId: string
  readonly inTransaction: boolean
  readonly isControlBatch: boolean
}

/** A record as kafkajs hands it on, with everything that the log has of it. */
export class FetchedRecord {
  /** Empty, for kafkajs, which would merge and reorder headers: see `pairs`. */
  readonly headers = {}
  readonly attributes = 0
  readonly offset: string
  readonly timestamp: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly pairs: readonly HeaderPair[]
  readonly isControlRecord: boolean
  readonly batchContext: BatchContext
  /** The batch as it came from the broker. */
  readonly batch: Buffer
  readonly fault: RecordFault | null

  constructor(parts: Omit<FetchedRecord, 'headers' | 'attributes'>) {
    this.offset = parts.offset
    this.timestamp = parts.timestamp
    this.key = parts.key
    this.value = parts.value
    this.pairs = parts.pairs
    this.isControlRecord = parts.isControlRecord
    this.batchContext = parts.batchContext
    this.batch = parts.batch
    this.fault = parts.fault
  }
}

/** The bytes before those that `length` counts: offset and length. */
const prefixBytes = 12
const magicAt = 16
const headerBytes = 61
/** The smallest message of the formats before batches. */
const messageBytesMin = 14
const noPairs: readonly HeaderPair[] = []

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
  const cursor = new Cursor(bytes)
  const stamp = stampsOf(batch)
  const records: FetchedRecord[] = []
  const lastDelta = batch.readInt32BE(23)
  let next = 0
  for (let i = 0; i < count; i += 1) {
    const part = cursor.part()
    part.skip(1)
    const timestamp = stamp(part)
    const delta = part.varint()
    need(delta >= next && delta <= lastDelta, 'a record is not at an offset of its batch')
    next = delta + 1
    const offset = String(base + delta)
    const key = part.bytes()
    const value = part.bytes()
    const pairs = pairsOf(part)
    need(part.isAtEnd, 'a record is longer than its parts')
    const isControlRecord = context.isControlBatch
    const parts = { offset, timestamp, key, value, pairs, isControlRecord, batchContext: context, batch, fault: null }
    records.push(new FetchedRecord(parts))
  }
  need(cursor.isAtEnd, 'a batch is longer than its records')
  return { records, bytes: bytes.length }
}

function pairsOf(part: Cursor): readonly HeaderPair[] {
  const count = part.varint()
  need(count >= 0, 'a record has less than no headers')
  if (count === 0) return noPairs
  const pairs: HeaderPair[] = []
  for (let i = 0; i < count; i += 1) {
    const name = part.bytes()
    need(name !== null, 'a header has no name')
    pairs.push([name, part.bytes()])
  }
  return pairs
}

/** The broker's time for the whole batch, or each record's own. */
function stampsOf(batch: Buffer): (part: Cursor) => string {
  const isAppendTime = (batch.readInt16BE(21) & 8) !== 0
  const time = batch.readBigInt64BE(isAppendTime ? 35 : 27)
  if (!isAppendTime) return (part) => String(time + part.varlong())
  const text = String(time)
  return (part) => {
    part.skipVarint()
    return text
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
function placeholder(batch: Buffer, batchContext: BatchContext, last: number): FetchedRecord {
  const empty = { timestamp: '0', key: null, value: null, pairs: noPairs, fault: null }
  return new FetchedRecord({ ...empty, offset: String(last), isControlRecord: true, batchContext, batch })
}

function unreadable(batch: Buffer, offset: number, detail: string): BatchRead {
  const hasHeader = batch.length >= headerBytes && batch.readInt8(magicAt) === 2
  const time = hasHeader ? Number(batch.readBigInt64BE(35)) : 0
  const record = new FetchedRecord({
    offset: String(offset),
    timestamp: String(time),
    key: null,
    value: batch,
    pairs: noPairs,
    isControlRecord: false,
    // Handlers never get an aborted batch, not even an unreadable one.
    batchContext: hasHeader ? { ...contextOf(batch), isControlBatch: false } : plainContext,
    batch,
    fault: { code: 'batch_unreadable', detail },
  })
  // It was not decompressed.
  return { records: [record], bytes: 0 }
}
