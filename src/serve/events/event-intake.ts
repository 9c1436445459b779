import { eventLimits } from '../../events/envelope.ts'
import { encodeEvent, type DomainEvent, type EventCatalog } from '../../events/event.ts'
import { parseEvent } from '../../events/decode-event.ts'
import type { EventErrorCode } from '../../events/event-error-code.ts'
import { httpDoor } from '../../events/event-time.ts'
import type { Position } from '../../ports/log.ts'
import { keyOf, type Identity } from '../scores/identity-index.ts'
import { contentOf, type EventContent } from './event-ledger.ts'

export interface AdmittedEvent extends Identity {
  readonly kind: 'admitted'
  readonly eventType: string
  readonly content: EventContent
  /** The CloudEvent to publish. */
  readonly value: string
}

/** An event that repeats an earlier one. */
export interface RepeatedEvent extends Identity {
  readonly kind: 'repeated'
  readonly eventType: string
  /** The earlier event: its position in the log, or the event of the same request. */
  readonly first: Position | AdmittedEvent
}

export interface RejectedEvent {
  readonly kind: 'rejected'
  readonly eventId: string | null
  readonly code: EventErrorCode | 'event_conflict' | 'unavailable'
  readonly detail: string
}

export type IntakeResult = AdmittedEvent | RepeatedEvent | RejectedEvent

/**
 * Judges the events of one request, in order. The log gets what the client sent: its version and its data, in the
 * CloudEvents spelling; an event without a correlation id gets its own id. Never throws; publishes nothing.
 */
export function admitEvents(events: readonly unknown[], catalog: EventCatalog, nowMs: number): IntakeResult[] {
  const seen = new Map<string, AdmittedEvent>()
  return events.map((json) => {
    const result = admit(json, catalog, nowMs)
    if (result.kind !== 'admitted') return result
    const key = keyOf(result)
    const first = seen.get(key)
    if (first !== undefined) return compared(result, { content: first.content, first })
    seen.set(key, result)
    return result
  })
}

/** Compares an event with the earlier one of its identity: a repeat, or another fact under the same id. */
export function compared(
  event: AdmittedEvent,
  known: { readonly content: EventContent; readonly first: Position | AdmittedEvent },
): RepeatedEvent | RejectedEvent {
  const { aggregateId, eventId, eventType } = event
  if (known.content === event.content) return { kind: 'repeated', aggregateId, eventId, eventType, first: known.first }
  return reject(
    eventId,
    'event_conflict',
    'an event of this aggregate with this id, and with other content, came before',
  )
}

export function reject(eventId: string | null, code: RejectedEvent['code'], detail: string): RejectedEvent {
  return { kind: 'rejected', eventId, code, detail }
}

function admit(json: unknown, catalog: EventCatalog, nowMs: number): AdmittedEvent | RejectedEvent {
  const parsed = parseEvent(json, catalog, nowMs, httpDoor)
  if (parsed.kind === 'invalid') return reject(parsed.eventId ?? null, parsed.code, parsed.detail)
  const { eventId, eventType, aggregateId } = parsed.event
  const correlated: DomainEvent = { ...parsed.received, correlationId: parsed.received.correlationId ?? eventId }
  const value = encodeEvent(correlated)
  const bytes = Buffer.byteLength(value)
  if (bytes > eventLimits.maxBytes) {
    return reject(eventId, 'event_too_large', `${bytes} bytes as a CloudEvent, at most ${eventLimits.maxBytes}`)
  }
  return { kind: 'admitted', eventId, eventType, aggregateId, content: contentOf(parsed.event), value }
}
