import type { z } from 'zod'
import type { AcceptedValues } from './accepted-values.ts'
import type { CloudEvent } from './envelope.ts'
import type { EventErrorCode } from './event-error-code.ts'
import type { EventTimeLimits } from './event-time.ts'
import type { LabelRule } from './label-rule.ts'
import type { ScoredRule } from './scored-rule.ts'

/** The fields of an event, once its schema has read them. */
export type EventData = Readonly<Record<string, unknown>>

/** An immutable fact, in the words of this code. On the wire it is a CloudEvent (see {@link toCloudEvent}). */
export interface DomainEvent<Data = unknown> {
  readonly eventId: string
  readonly eventType: string
  /** When it happened, by its producer's clock: milliseconds since the epoch, whole, maybe negative. */
  readonly timestamp: number
  /** The aggregate is the partition key: everything about one aggregate is in one partition, in order. */
  readonly aggregateId: string
  readonly aggregateType: string
  /** Version of the schema of `data`. */
  readonly version: number
  readonly causationId?: string
  readonly correlationId?: string
  readonly data: Data
  readonly metadata?: EventMetadata
}

export interface EventMetadata {
  /** CloudEvents `source`: who produced it. */
  readonly source: string
}

/** One version of an event's data: what it must look like and, for an old one, how to read it as the next version. */
export interface EventVersion {
  readonly schema: z.ZodType
  readonly upcast?: (data: never) => unknown
}

export interface EventType {
  readonly type: string
  readonly aggregateType: string
  /** The field of the data that repeats the aggregate's id: the event and its key must agree. */
  readonly aggregateField: string
  readonly currentVersion: number
  readonly versions: Readonly<Record<number, EventVersion>>
  /** The field that holds the time of the observation; `time` is the envelope's own. */
  readonly timestampField: string
  readonly times: EventTimeLimits
  readonly accepts: AcceptedValues
  /** A more telling code than `invalid_data` for a field that fails its schema. */
  readonly fieldCodes: Readonly<Record<string, FieldCode>>
  /** Data of its current version, as a producer would send them. */
  readonly examples: readonly unknown[]
  /** Left out of an event type that labels nothing. */
  readonly label?: LabelRule
  /** Left out of an event type that is not scored. */
  readonly scored?: ScoredRule
  /** The name of its events' view in SQL over the lake; left out: the type, with `_` for each dot. */
  readonly view?: string
}

/** One code, or one for a field that is not there and one for what is there instead. */
export type FieldCode = EventErrorCode | { readonly missing: EventErrorCode; readonly invalid: EventErrorCode }

export type EventCatalog = ReadonlyMap<string, EventType>

/** The version URN that CloudEvents `dataschema` carries. */
export function schemaOf(eventType: string, version: number): string {
  return `urn:riverbank:${eventType}:${version}`
}

/** CloudEvents 1.0, structured mode, keys in a fixed order: equal events are equal bytes. */
export function toCloudEvent(event: DomainEvent): CloudEvent {
  return {
    specversion: '1.0',
    id: event.eventId,
    type: event.eventType,
    source: event.metadata?.source ?? 'urn:riverbank:unknown',
    subject: event.aggregateId,
    time: new Date(event.timestamp).toISOString(),
    dataschema: schemaOf(event.eventType, event.version),
    datacontenttype: 'application/json',
    ...(event.correlationId === undefined ? {} : { correlationid: event.correlationId }),
    ...(event.causationId === undefined ? {} : { causationid: event.causationId }),
    data: event.data,
  }
}

/** Headers of a record with a value of {@link encodeEvent}: structured mode, for the Kafka binding of CloudEvents. */
export const structuredHeaders: Readonly<Record<string, string>> = Object.freeze({
  'content-type': 'application/cloudevents+json',
})

export function encodeEvent(event: DomainEvent): string {
  return JSON.stringify(toCloudEvent(event))
}
