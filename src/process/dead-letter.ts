import { emissionOf, positionOf } from './emit.ts'
import { attemptsOf, type Intake } from './intake.ts'
import { emittedTypes, type DeadLetter } from '../core/emitted.ts'
import { eventLimits, idPattern } from '../core/envelope.ts'
import type { LogRecord, OutgoingRecord } from '../ports.ts'

/** JSON spells a control character in six bytes: beyond this, base64 keeps a letter near the size of its record. */
const textBytesMax = 64 * 1024

/** `event.dead_lettered`: the record whole, with the reason, so that it can be replayed after the fix (I6). */
export function deadLetterRecord(topic: string, intake: Intake, code: string, detail: string): OutgoingRecord {
  const { record } = intake
  const eventId = `${record.topic}:${record.partition}:${record.offset}:dead`
  const data: DeadLetter = {
    code,
    detail,
    attempts: attemptsOf(record),
    position: positionOf(record),
    ...keyAndHeaders(record),
    value: Buffer.from(record.value).toString('base64'),
  }
  return emissionOf(topic, record, {
    eventId,
    eventType: emittedTypes.deadLettered,
    // A key that no event could have as its aggregate's id is not made one.
    aggregateId: isAggregateId(record.key) ? record.key : eventId,
    aggregateType: 'record',
    cause: intake.kind === 'event' ? intake.event : null,
    data,
  })
}

/** What {@link deadLetterRecord} was told, back as the record's key and headers. */
export function keyAndHeadersOf({ encoding, key, headers }: DeadLetter): Pick<LogRecord, 'key' | 'headers'> {
  if (encoding === 'text') return { key, headers }
  const decoded = Object.entries(headers).map(([name, value]) => [fromBase64(name), fromBase64(value)])
  return { key: key === null ? null : fromBase64(key), headers: Object.fromEntries(decoded) as Record<string, string> }
}

function keyAndHeaders({ key, headers }: LogRecord): Pick<DeadLetter, 'encoding' | 'key' | 'headers'> {
  if (JSON.stringify([key, headers]).length <= textBytesMax) return { encoding: 'text', key, headers }
  const encoded = Object.entries(headers).map(([name, value]) => [toBase64(name), toBase64(value)])
  return {
    encoding: 'base64',
    key: key === null ? null : toBase64(key),
    headers: Object.fromEntries(encoded) as Record<string, string>,
  }
}

function isAggregateId(key: string | null): key is string {
  return key !== null && key.length <= eventLimits.maxIdLength && idPattern.test(key)
}

function toBase64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString()
}
