import { isUtf8 } from 'node:buffer'
import { latestMs } from '../../events/envelope.ts'
import { assert } from '../../base/errors.ts'
import type { ExactParts, RecordFault } from '../../events/codec/record-parts.ts'
import type { LogRecord, OutgoingRecord } from '../../ports/log.ts'
import { headersFor } from './batch/kafkajs-batches.ts'
import { FetchedRecord } from './batch/fetched-record.ts'

/**
 * The bytes that Kafka's limit on a record batch (`max.message.bytes`) adds to a topic's largest value, for framing,
 * key and headers. The publisher checks records against the rest, so that both drivers agree on what is too large.
 */
export const recordOverheadBytes = 16_384
const batchHeaderBytes = 61
/** Lengths, deltas and attributes of one record, and of one header, at their largest. */
const recordFrameBytes = 32
const headerFrameBytes = 10

/**
 * Turns a record that kafkajs hands on into the port's. A record larger than its topic takes, which only compression
 * makes possible, gets a fault, and its batch as value: so its dead letter is never larger than another one.
 */
export function toLogRecord(topic: string, partition: number, message: object, recordBytesMax: number): LogRecord {
  assert(message instanceof FetchedRecord, 'records are read by our own decoder')
  const { batch, position: offset } = message
  const appendTimeMs = timeOf(message.timeMs)
  const { keyFrom, keyBytes, valueFrom, valueBytes, headers } = message.parts()
  const bytes = Math.max(0, keyBytes) + Math.max(0, valueBytes) + headers.bytes
  const fault = batch.fault ?? (bytes > recordBytesMax ? tooLarge(bytes, recordBytesMax) : null)
  if (fault !== null) {
    return { topic, partition, offset, appendTimeMs, key: null, value: viewOf(batch.bytes), headers: noHeaders, fault }
  }
  const { records } = batch
  const key = keyBytes === -1 ? null : records.toString('utf8', keyFrom, keyFrom + keyBytes)
  const value = valueBytes === -1 ? noBytes : new Uint8Array(records.buffer, records.byteOffset + valueFrom, valueBytes)
  const record = { topic, partition, offset, appendTimeMs, key, value, headers: headers.texts }
  if (valueBytes !== -1 && headers.areTexts && isExact(key, message)) return record
  const exactKey = message.key === null ? null : viewOf(message.key)
  return { ...record, exact: { key: exactKey, headers: headers.pairs, isValueNull: valueBytes === -1 } }
}

/** Whether the text preserves the bytes of the key: what is not UTF-8 is read as U+FFFD. */
function isExact(key: string | null, record: FetchedRecord): boolean {
  return key === null || !key.includes('\ufffd') || (record.key !== null && isUtf8(record.key))
}

function tooLarge(bytes: number, bytesMax: number): RecordFault {
  return { code: 'record_too_large', detail: `${bytes} bytes, at most ${bytesMax} are read` }
}

/** The record's time, clamped to valid dates: a topic without the broker's times may hold any number. */
function timeOf(timeMs: number): number {
  return Math.min(latestMs, Math.max(0, timeMs))
}

const noBytes = new Uint8Array(0)
const noHeaders: Readonly<Record<string, string>> = Object.freeze({})

function viewOf(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A record that waits to be sent. */
export interface PreparedRecord {
  readonly partition: number
  readonly key: string | Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string>>
  /** An upper bound of its size in a batch. */
  readonly bytes: number
}

export function prepareRecord(record: OutgoingRecord, partition: number): PreparedRecord {
  const { key, value, headers = {}, exact } = record
  const bytes = typeof value === 'string' ? Buffer.from(value) : bufferOf(value)
  if (exact !== undefined) return prepareExact(exact, bytes, partition)
  let total = recordFrameBytes + bytes.length + Buffer.byteLength(key)
  for (const [name, text] of Object.entries(headers)) {
    total += headerFrameBytes + Buffer.byteLength(name) + Buffer.byteLength(text)
  }
  return { partition, key, value: bytes, headers, bytes: total }
}

function prepareExact(exact: ExactParts, bytes: Buffer, partition: number): PreparedRecord {
  const key = exact.key === null ? null : bufferOf(exact.key)
  const value = exact.isValueNull ? null : bytes
  const pairs = exact.headers.map(([name, text]) => [bufferOf(name), text === null ? null : bufferOf(text)] as const)
  let total = recordFrameBytes + (value?.length ?? 0) + (key?.length ?? 0)
  for (const [name, text] of pairs) total += headerFrameBytes + name.length + (text?.length ?? 0)
  const headers = headersFor(pairs)
  return { partition, key, value, headers, bytes: total }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** The bytes of records that a batch of a topic with this `max.message.bytes` holds. */
export function batchCapacityBytes(maxMessageBytes: number): number {
  return maxMessageBytes - batchHeaderBytes
}
