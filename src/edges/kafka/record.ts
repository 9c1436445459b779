import { isUtf8 } from 'node:buffer'
import { latestMs } from '../../events/envelope.ts'
import { assert } from '../../base/errors.ts'
import type { ExactParts, RecordFault } from '../../events/codec/record-parts.ts'
import type { LogRecord, OutgoingRecord } from '../../ports/log.ts'
import { batchHeaderBytes, headerSection, recordRoomBytes, type PreparedRecord } from './batch/batch-writer.ts'
import { FetchedRecord } from './batch/fetched-record.ts'

/**
 * The bytes that Kafka's limit on a record batch (`max.message.bytes`) adds to a topic's largest value, for framing,
 * key and headers. The publisher checks records against the rest, so that both drivers agree on what is too large.
 */
export const recordOverheadBytes = 16_384

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

/** Prepares the records of one call: those that share their headers' object share the bytes of their headers. */
export class RecordPreparation {
  #headers: Readonly<Record<string, string>> | null = null
  #section: Uint8Array = noBytes

  /** Measures the record; texts stay texts until a batch takes them. */
  prepare(record: OutgoingRecord, partition: number): PreparedRecord {
    const { exact } = record
    const value = exact?.isValueNull === true ? null : record.value
    const key = exact === undefined ? record.key : exact.key
    const headers = exact === undefined ? this.#sectionOf(record.headers ?? noHeaders) : exactSection(exact)
    const keyBytes = bytesOf(key)
    const valueBytes = bytesOf(value)
    const bytes = recordRoomBytes(keyBytes, valueBytes, headers.length)
    return { partition, key, keyBytes, value, valueBytes, headers, bytes }
  }

  #sectionOf(headers: Readonly<Record<string, string>>): Uint8Array {
    if (headers === this.#headers) return this.#section
    this.#headers = headers
    this.#section = headerSection(
      Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)] as const),
    )
    return this.#section
  }
}

function bytesOf(content: string | Uint8Array | null): number {
  if (content === null) return 0
  return typeof content === 'string' ? Buffer.byteLength(content) : content.length
}

function exactSection({ headers }: ExactParts): Uint8Array {
  return headerSection(headers.map(([name, text]) => [bufferOf(name), text === null ? null : bufferOf(text)] as const))
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** The bytes of records that a batch of a topic with this `max.message.bytes` holds. */
export function batchCapacityBytes(maxMessageBytes: number): number {
  return maxMessageBytes - batchHeaderBytes
}
