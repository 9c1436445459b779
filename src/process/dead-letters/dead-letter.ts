import { outputOf, positionOf } from '../output-records.ts'
import type { Applied, Duplicate, Unreadable, Unscored } from '../stages.ts'
import { outputTypes, type DeadLetter } from '../../scoring/output-events.ts'
import { eventLimits, idPattern } from '../../events/envelope.ts'
import type { ExactHeader, ExactParts } from '../../events/codec/record-parts.ts'
import { attemptsIn } from '../../events/codec/resent-record.ts'
import type { LogRecord, OutgoingRecord } from '../../ports/log.ts'

/** JSON spells a control character in six bytes: beyond this, base64 keeps a letter near the size of its record. */
const textBytesMax = 64 * 1024
/**
 * Bytes of a value, before base64, that a dead letter has room for. A record of a topic that we make is smaller; one of
 * a topic with a larger `max.message.bytes` stays in the log, and its letter says how long it is.
 */
const valueBytesMax = 1_200_000

/** `event.dead_lettered`: the record whole, with the reason, so that it can be replayed after the fix (I6). */
export function deadLetterRecord(
  topic: string,
  refused: Unreadable | Duplicate | Applied | Unscored,
  code: string,
  detail: string,
): OutgoingRecord {
  const { record } = refused
  const eventId = letterIdOf(record)
  const data: DeadLetter = {
    code,
    detail,
    attempts: attemptsOf(record),
    position: positionOf(record),
    ...keyAndHeaders(record),
    ...valueOf(record.value),
  }
  return outputOf(topic, record, {
    eventId,
    eventType: outputTypes.deadLettered,
    // A key becomes the aggregate's id only if an event could have it.
    aggregateId: isAggregateId(record.key) ? record.key : eventId,
    aggregateType: 'record',
    cause: refused.kind === 'invalid' ? null : refused.decoded.event,
    data,
  })
}

/** How often a record was tried, this time included: the header counts replays of a dead letter. */
function attemptsOf(record: LogRecord): number {
  return attemptsIn(record.headers) + 1
}

/** The id of the letter about the record at this position. */
export function letterIdOf({ topic, partition, offset }: Pick<LogRecord, 'topic' | 'partition' | 'offset'>): string {
  return `${topic}:${partition}:${offset}:dead`
}

/** The key and headers of the record that {@link deadLetterRecord} was given. */
export function keyAndHeadersOf(letter: DeadLetter): Pick<LogRecord, 'key' | 'headers' | 'exact'> {
  const { encoding, key, headers, headerList = [], isValueNull = false } = letter
  if (encoding === 'text') return { key, headers }
  if (encoding === 'exact') {
    const list = headerList.map(([name, value]): ExactHeader => [bytesOf(name), value === null ? null : bytesOf(value)])
    const exact = { key: key === null ? null : bytesOf(key), headers: list, isValueNull }
    return { key: key === null ? null : fromBase64(key), headers: {}, exact }
  }
  const decoded = Object.entries(headers).map(([name, value]): [string, string] => [
    fromBase64(name),
    fromBase64(value),
  ])
  return { key: key === null ? null : fromBase64(key), headers: Object.fromEntries(decoded) }
}

function keyAndHeaders({ key, headers, exact }: LogRecord): Omit<Encoded, 'value'> {
  if (exact !== undefined) return exactly(exact)
  if (JSON.stringify([key, headers]).length <= textBytesMax) return { encoding: 'text', key, headers }
  const encoded = Object.entries(headers).map(([name, value]): [string, string] => [toBase64(name), toBase64(value)])
  return {
    encoding: 'base64',
    key: key === null ? null : toBase64(key),
    headers: Object.fromEntries(encoded),
  }
}

type Encoded = Pick<DeadLetter, 'encoding' | 'key' | 'headers' | 'headerList' | 'isValueNull' | 'value' | 'valueBytes'>

function exactly({ key, headers, isValueNull }: ExactParts): Omit<Encoded, 'value'> {
  const headerList = headers.map(([name, value]): [string, string | null] => [
    toBase64(name),
    value === null ? null : toBase64(value),
  ])
  const text = key === null ? null : toBase64(key)
  return { encoding: 'exact', key: text, headers: {}, headerList, ...(isValueNull ? { isValueNull } : {}) }
}

function valueOf(value: Uint8Array): Pick<Encoded, 'value' | 'valueBytes'> {
  if (value.length <= valueBytesMax) return { value: toBase64(value) }
  return { value: toBase64(value.subarray(0, valueBytesMax)), valueBytes: value.length }
}

function isAggregateId(key: string | null): key is string {
  return key !== null && key.length <= eventLimits.maxIdLength && idPattern.test(key)
}

function toBase64(bytes: string | Uint8Array): string {
  const buffer = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  return Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength).toString('base64')
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'))
}

function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString()
}
