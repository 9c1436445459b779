import { z } from 'zod'
import { structuredHeaders } from '../event.ts'
import { traceHeader } from '../trace.ts'

/** Header that counts how often a record was tried; set when a dead letter is replayed. */
export const attemptsHeader = 'riverbank-attempts'

/** What the log and the lake both know of a record: a state that was made of either is the same. */
export interface WaitingRecord {
  /** Text of the record's value. */
  readonly value: string
  /** The value is the event's data alone, and its attributes are headers. */
  readonly isBinary: boolean
  /** See {@link otherHeaders}. */
  readonly headers: string | null
  readonly traceparent: string | null
  readonly partition: number
  readonly offset: number
}

type Headers = Readonly<Record<string, string>>

/** UTF-16 units of a record as JSON: what a state has room for, several times. */
const textLengthMax = 8 * 1024

/** A label's record as its owner's state keeps it until the subject comes; null for one that is too long. */
export function waitingText(record: WaitingRecord): string | null {
  const { value, isBinary, headers, traceparent, partition, offset } = record
  const text = JSON.stringify([value, isBinary, headers, traceparent, partition, offset])
  return text.length > textLengthMax ? null : text
}

/** A record that is sent once more, and where it stood. */
export interface Resent {
  readonly value: string
  readonly headers: Headers
  readonly from: Pick<WaitingRecord, 'partition' | 'offset'>
}

const text = z.string()
const textOrNull = text.nullable()
/** As {@link waitingText} orders them. */
const parts = z.tuple([text, z.boolean(), textOrNull, textOrNull, z.number(), z.number()])
const ownHeaders = z.record(text, text)

/** The record that {@link waitingText} wrote down. */
export function resent(written: string): Resent {
  const [value, isBinary, others, traceparent, partition, offset] = parts.parse(JSON.parse(written))
  const own = others === null ? {} : ownHeaders.parse(JSON.parse(others))
  const headers = {
    ...(isBinary ? {} : structuredHeaders),
    ...own,
    ...(traceparent === null ? {} : { [traceHeader]: traceparent }),
    [attemptsHeader]: String(attemptsIn(own) + 1),
  }
  return { value, headers, from: { partition, offset } }
}

/** Headers but the trace context and those of every structured event, as JSON; null when there are none. */
export function otherHeaders(headers: Headers): string | null {
  if (headers === structuredHeaders) return null
  const others = Object.entries(headers).filter(
    ([name, value]) => name !== traceHeader && structuredHeaders[name] !== value,
  )
  return others.length === 0 ? null : JSON.stringify(Object.fromEntries(others))
}

/** How often a record was tried before: the header counts replays. */
export function attemptsIn(headers: Headers): number {
  const before = Number(headers[attemptsHeader] ?? 0)
  return Number.isSafeInteger(before) && before >= 0 && before < 1_000_000 ? before : 0
}
