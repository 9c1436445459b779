import type { KafkaMessage, IHeaders } from 'kafkajs'
import type { LogRecord, OutgoingRecord } from '../../ports.ts'

/**
 * What Kafka's limits on a record batch (`max.message.bytes`) leave for framing, key and headers when a topic promises
 * values of a size. Records are checked against the rest, so that both drivers agree on what is too large.
 */
export const recordOverheadBytes = 16_384
const batchHeaderBytes = 61
/** Lengths, deltas and attributes of one record, and of one header, at their largest. */
const recordFrameBytes = 32
const headerFrameBytes = 10

export function toLogRecord(topic: string, partition: number, message: KafkaMessage): LogRecord {
  const value = message.value ?? Buffer.alloc(0)
  return {
    topic,
    partition,
    offset: Number(message.offset),
    appendTimeMs: Number(message.timestamp),
    key: message.key?.toString('utf8') ?? null,
    value: new Uint8Array(value.buffer, value.byteOffset, value.byteLength),
    headers: toHeaders(message.headers ?? {}),
  }
}

function toHeaders(headers: IHeaders): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    // Kafka allows a header more than once; as in HTTP clients, the first one counts.
    const first = Array.isArray(value) ? value[0] : value
    if (first !== undefined) found[name] = typeof first === 'string' ? first : first.toString('utf8')
  }
  return found
}

/** A record as it waits to be sent. */
export interface PreparedRecord {
  readonly partition: number
  readonly key: string
  readonly value: Buffer
  readonly headers: Readonly<Record<string, string>>
  /** An upper bound of what it takes in a batch. */
  readonly bytes: number
}

export function prepareRecord({ key, value, headers = {} }: OutgoingRecord, partition: number): PreparedRecord {
  const bytes =
    typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  let total = recordFrameBytes + bytes.length + Buffer.byteLength(key)
  for (const [name, text] of Object.entries(headers)) {
    total += headerFrameBytes + Buffer.byteLength(name) + Buffer.byteLength(text)
  }
  return { partition, key, value: bytes, headers, bytes: total }
}

/** What a batch of a topic with this `max.message.bytes` holds. */
export function batchCapacityBytes(maxMessageBytes: number): number {
  return maxMessageBytes - batchHeaderBytes
}
