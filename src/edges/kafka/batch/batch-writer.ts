import { crc32c } from '@node-rs/crc32'
import { BytesWriter, varintBytes } from './bytes-writer.ts'
import type { HeaderPair } from './fetched-record.ts'

/** A record that waits to be sent. Texts are encoded where they are sent from: no copy of them is made before. */
export interface PreparedRecord {
  readonly partition: number
  readonly key: string | Uint8Array | null
  readonly keyBytes: number
  readonly value: string | Uint8Array | null
  readonly valueBytes: number
  /** As the log holds them: {@link headerSection}. */
  readonly headers: Uint8Array
  /** An upper bound of its size in a batch. */
  readonly bytes: number
}

export const batchHeaderBytes = 61
/** The lengths, deltas and attributes of a record at their largest. */
const recordFrameBytes = 32
/** The lengths of a header at their largest. */
const headerFrameBytes = 10
/** What a batch's length leaves out: its base offset and the length. */
const prefixBytes = 12
const checksumAt = 17
/** The checksum covers everything from here on. */
const attributesAt = 21
/** A batch of a producer that is neither idempotent nor transactional. */
const noProducer = { id: -1, epoch: -1, sequence: -1 } as const

/** The largest size in a batch of a record with such parts. */
export function recordRoomBytes(keyBytes: number, valueBytes: number, headerBytes: number): number {
  return recordFrameBytes + keyBytes + valueBytes + headerBytes
}

/** Headers as a record holds them: their number, then names and values with their lengths. */
export function headerSection(pairs: readonly HeaderPair[]): Uint8Array {
  let bytes = headerFrameBytes
  for (const [name, value] of pairs) bytes += headerFrameBytes + name.length + (value?.length ?? 0)
  const section = Buffer.allocUnsafe(bytes)
  const writer = new BytesWriter(section, 0)
  writer.varint(pairs.length)
  for (const [name, value] of pairs) {
    writer.varint(name.length)
    writer.raw(name)
    writer.varint(value?.length ?? -1)
    if (value !== null) writer.raw(value)
  }
  return section.subarray(0, writer.position)
}

/** The room that {@link writeBatch} needs at most. */
export function batchRoomBytes(records: readonly PreparedRecord[]): number {
  let bytes = batchHeaderBytes
  for (const record of records) bytes += record.bytes
  return bytes
}

/** Writes an uncompressed batch of format 2; answers where it ends. `timeMs`: the time of all its records. */
export function writeBatch(target: Buffer, at: number, records: readonly PreparedRecord[], timeMs: number): number {
  const writer = new BytesWriter(target, at + batchHeaderBytes)
  for (let i = 0; i < records.length; i += 1) {
    const record = records[i]
    if (record !== undefined) writeRecord(writer, record, i)
  }
  const end = writer.position
  const header = new BytesWriter(target, at)
  header.int64(0)
  header.int32(end - at - prefixBytes)
  header.int32(0)
  header.int8(2)
  header.int32(0)
  header.int16(0)
  header.int32(records.length - 1)
  header.int64(timeMs)
  header.int64(timeMs)
  header.int64(noProducer.id)
  header.int16(noProducer.epoch)
  header.int32(noProducer.sequence)
  header.int32(records.length)
  target.writeUInt32BE(crc32c(target.subarray(at + attributesAt, end)), at + checksumAt)
  return end
}

function writeRecord(writer: BytesWriter, record: PreparedRecord, offsetDelta: number): void {
  const { key, keyBytes, value, valueBytes, headers } = record
  // One byte of attributes, one of the time's delta, which is zero.
  let bytes = 2 + varintBytes(offsetDelta) + headers.length
  bytes += key === null ? 1 : varintBytes(keyBytes) + keyBytes
  bytes += value === null ? 1 : varintBytes(valueBytes) + valueBytes
  writer.varint(bytes)
  writer.int8(0)
  writer.varint(0)
  writer.varint(offsetDelta)
  writer.varint(key === null ? -1 : keyBytes)
  if (key !== null) writer.content(key, keyBytes)
  writer.varint(value === null ? -1 : valueBytes)
  if (value !== null) writer.content(value, valueBytes)
  writer.raw(headers)
}
