import { z } from 'zod'
import { keyAndHeadersOf } from './dead-letter.ts'
import { kafkaBinding, isBinaryMode } from '../../events/codec/binary-event.ts'
import {
  deadLetterReplayedSchema,
  deadLetterSchema,
  outputTypes,
  replaySource,
  type DeadLetter,
  type DeadLetterReplayed,
} from '../../scoring/output-events.ts'
import { encodeEvent, structuredHeaders } from '../../events/event.ts'
import { idOf, typeOf } from '../../events/codec/json-rules.ts'
import type { ExactHeader } from '../../events/codec/record-parts.ts'
import { traceHeader, validTraceparent } from '../../events/trace.ts'
import type { LogRecord, OutgoingRecord } from '../../ports/log.ts'

const attributes = {
  id: z.string(),
  time: z.string(),
  subject: z.string(),
  correlationid: z.string().optional(),
  causationid: z.string().optional(),
}
const letterSchema = z.object({
  ...attributes,
  type: z.literal(outputTypes.deadLettered),
  data: deadLetterSchema,
})
const replayedSchema = z.object({
  ...attributes,
  type: z.literal(outputTypes.deadLetterReplayed),
  data: deadLetterReplayedSchema,
})
const found = z.discriminatedUnion('type', [letterSchema, replayedSchema])

/** A dead letter, and where it lies. */
export interface PlacedLetter extends z.infer<typeof letterSchema> {
  readonly record: Pick<LogRecord, 'topic' | 'partition' | 'offset' | 'headers'>
}

/** A record of the topic of dead letters. */
export type LetterReading =
  | { readonly kind: 'letter'; readonly letter: PlacedLetter }
  | { readonly kind: 'replayed'; readonly replayed: DeadLetterReplayed }
  /** Not ours: any producer may write there. */
  | { readonly kind: 'foreign' }

/** Total. */
export function readLetter(record: LogRecord): LetterReading {
  const parsed = record.fault === undefined ? found.safeParse(jsonOf(record.value)) : null
  if (parsed?.success !== true) return { kind: 'foreign' }
  const event = parsed.data
  if (event.type === outputTypes.deadLetterReplayed) return { kind: 'replayed', replayed: event.data }
  return { kind: 'letter', letter: { ...event, record } }
}

/** The id and type of a letter's event, where they can be read; and the record's key as text. */
export interface LetterNames {
  readonly eventId: string | null
  readonly eventType: string | null
  readonly key: string | null
}

/** Total, like {@link readLetter}. */
export function namesIn(letter: DeadLetter): LetterNames {
  const { key, headers, exact } = keyAndHeadersOf(letter)
  const texts = exact === undefined ? headers : textsOf(exact.headers)
  const { prefix } = kafkaBinding
  const json = isBinaryMode(texts, kafkaBinding)
    ? { id: texts[`${prefix}id`], type: texts[`${prefix}type`] }
    : jsonOf(Buffer.from(letter.value, 'base64'))
  return { eventId: idOf(json) ?? null, eventType: typeOf(json) ?? null, key }
}

/**
 * `event.dead_letter_replayed`: to be published into the letter's topic once the record that the letter holds is in the
 * log again. It has the letter's key, so it lies in the letter's partition, after it.
 */
export function replayedRecord(letter: PlacedLetter, replayedAtMs: number): OutgoingRecord {
  const { id, subject, correlationid = id, record } = letter
  const { topic, partition, offset, headers } = record
  const data: DeadLetterReplayed = { letterId: id, position: { topic, partition, offset }, replayedAtMs }
  return replayedEvent(data, { topic, subject, correlationId: correlationid, headers, source: replaySource })
}

/** The same for a letter whose position is unknown. */
export function replayedEvent(
  data: DeadLetterReplayed,
  { topic, subject, correlationId, headers, source }: ReplayedBy,
): OutgoingRecord {
  const { letterId: id, replayedAtMs } = data
  const value = encodeEvent({
    eventId: `${id}:replayed:${replayedAtMs}`,
    eventType: outputTypes.deadLetterReplayed,
    timestamp: replayedAtMs,
    aggregateId: subject,
    aggregateType: 'record',
    version: 1,
    correlationId,
    causationId: id,
    data,
    metadata: { source },
  })
  const trace = validTraceparent(headers[traceHeader])
  const own = trace === null ? structuredHeaders : { ...structuredHeaders, [traceHeader]: trace }
  return { topic, key: subject, value, headers: own }
}

interface ReplayedBy extends Pick<LogRecord, 'topic' | 'headers'> {
  /** The letter's: the event belongs beside it. */
  readonly subject: string
  readonly correlationId: string
  readonly source: string
}

function textsOf(headers: readonly ExactHeader[]): Readonly<Record<string, string>> {
  const texts = headers.flatMap(([name, value]) => (value === null ? [] : [[textOf(name), textOf(value)] as const]))
  return Object.fromEntries(texts)
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes))
  } catch {
    return null
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}
