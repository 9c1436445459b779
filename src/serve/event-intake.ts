import { eventLimits } from '../core/envelope.ts'
import { encodeEvent, parseEvent, type DomainEvent, type EventCatalog, type EventErrorCode } from '../core/event.ts'
import { httpDoor } from '../core/event-time.ts'
import type { EventIdentity } from './dependencies.ts'

export interface AdmittedEvent extends EventIdentity {
  readonly kind: 'admitted'
  readonly eventType: string
  /** The CloudEvent to publish. */
  readonly value: string
}

export interface RejectedEvent {
  readonly kind: 'rejected'
  readonly eventId: string | null
  readonly code: EventErrorCode
  readonly detail: string
}

export type IntakeResult = AdmittedEvent | RejectedEvent

/**
 * Judges the events of one request, in order. What goes into the log is what was sent: its version and its data, in
 * the CloudEvents spelling, with the event's own id as correlation id where it has none. Total; publishes nothing.
 */
export function admitEvents(events: readonly unknown[], catalog: EventCatalog, nowMs: number): IntakeResult[] {
  const seen = new Set<string>()
  return events.map((json) => {
    const result = admit(json, catalog, nowMs)
    if (result.kind === 'rejected') return result
    if (seen.has(result.eventId)) {
      return reject(result.eventId, 'duplicate_event', 'an event of this request before it has the same id')
    }
    seen.add(result.eventId)
    return result
  })
}

/** Turns the events that the states remember into duplicates. */
export function rejectKnown(results: readonly IntakeResult[], known: ReadonlySet<IntakeResult>): IntakeResult[] {
  return results.map((result) =>
    known.has(result) && result.kind === 'admitted'
      ? reject(result.eventId, 'duplicate_event', 'an event with this id was accepted before')
      : result,
  )
}

function admit(json: unknown, catalog: EventCatalog, nowMs: number): IntakeResult {
  const parsed = parseEvent(json, catalog, nowMs, httpDoor)
  if (parsed.kind === 'invalid') return reject(parsed.eventId ?? null, parsed.code, parsed.detail)
  const { eventId, eventType, aggregateId } = parsed.event
  const correlated: DomainEvent = { ...parsed.received, correlationId: parsed.received.correlationId ?? eventId }
  const value = encodeEvent(correlated)
  const bytes = Buffer.byteLength(value)
  if (bytes > eventLimits.maxBytes) {
    return reject(eventId, 'event_too_large', `${bytes} bytes as a CloudEvent, at most ${eventLimits.maxBytes}`)
  }
  return { kind: 'admitted', eventId, eventType, customerId: aggregateId, value }
}

function reject(eventId: string | null, code: EventErrorCode, detail: string): RejectedEvent {
  return { kind: 'rejected', eventId, code, detail }
}
