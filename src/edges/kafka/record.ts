import { isUtf8 } from 'node:buffer'
import type { KafkaMessage } from 'kafkajs'
import { latestMs } from '../../events/envelope.ts'
import { assert } from '../../base/errors.ts'
import type { ExactParts } from '../../events/codec/record-parts.ts'
import type { LogRecord, OutgoingRecord } from '../../ports/log.ts'
import { headersFor } from './batch/kafkajs-batches.ts'
import { FetchedRecord, type HeaderPair } from './batch/record-set.ts'

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
 * Turns a fetched record into the port's. A record larger than its topic takes, which only compression makes possible,
 * gets a fault, and its batch as value: so its dead letter is never larger than another one.
 */
export function toLogRecord(
  topic: string,
  partition: number,
  message: KafkaMessage,
  recordBytesMax: number,
): LogRecord {
  assert(message instanceof FetchedRecord, 'records are read by our own decoder')
  const { key, value, pairs, batch } = message
  const place = { topic, partition, offset: Number(message.offset), appendTimeMs: timeOf(message.timestamp) }
  const bytes = sizeOf(message)
  const large = { code: 'record_too_large', detail: `${bytes} bytes, at most ${recordBytesMax} are read` } as const
  const fault = message.fault ?? (bytes > recordBytesMax ? large : null)
  if (fault !== null) return { ...place, key: null, value: viewOf(batch), headers: noHeaders, fault }
  const text = { key: key?.toString('utf8') ?? null, headers: textOf(pairs) }
  const record = { ...place, ...text, value: value === null ? noBytes : viewOf(value) }
  if (isText(message)) return record
  return { ...record, exact: { key: key === null ? null : viewOf(key), headers: pairs, isValueNull: value === null } }
}

/** The record's time, clamped to valid dates: a topic without the broker's times may hold any number. */
function timeOf(timestamp: string): number {
  return Math.min(latestMs, Math.max(0, Number(timestamp)))
}

const noBytes = new Uint8Array(0)
const noHeaders: Readonly<Record<string, string>> = Object.freeze({})

function viewOf(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function sizeOf({ key, value, pairs }: FetchedRecord): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0)
  for (const [name, text] of pairs) bytes += headerFrameBytes + name.length + (text?.length ?? 0)
  return bytes
}

function textOf(pairs: readonly HeaderPair[]): Readonly<Record<string, string>> {
  if (pairs.length === 0) return noHeaders
  const found: Record<string, string> = {}
  for (const [nameBytes, value] of pairs) {
    const name = nameBytes.toString('utf8')
    // The first header of a name counts, as in HTTP clients.
    if (value !== null && name !== '__proto__' && !Object.hasOwn(found, name)) found[name] = value.toString('utf8')
  }
  return found
}

/** Whether texts, and an object of them, preserve the bytes of key, value and headers, and their order. */
function isText({ key, value, pairs }: FetchedRecord): boolean {
  if (value === null || (key !== null && !isUtf8(key))) return false
  const names = new Set<string>()
  for (const [nameBytes, text] of pairs) {
    if (text === null || !isUtf8(nameBytes) || !isUtf8(text)) return false
    const name = nameBytes.toString('utf8')
    // An object puts numeric names first, and cannot hold `__proto__`.
    if (names.has(name) || /^\d+$/.test(name) || name === '__proto__') return false
    names.add(name)
  }
  return true
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
