import {
  cloudEventSchema,
  domainEventSchema,
  earliestMs,
  eventLimits,
  latestMs,
  schemaUrn,
  type CloudEvent,
} from './envelope.ts'
import type { DomainEvent, EventCatalog, EventData, EventType } from './event.ts'
import { currentData } from './event-data.ts'
import type { EventErrorCode } from './event-error-code.ts'
import { timeFault, timeHint, type EventDoor } from './event-time.ts'
import { forbiddenKey, idOf, isText } from './codec/json-rules.ts'
import { notAccepted } from './accepted-values.ts'
import { readPlainEvent } from './codec/plain-event.ts'
import { explain, fieldOf, isAbout } from './schema-fault.ts'

export type EventResult =
  | {
      readonly kind: 'valid'
      readonly event: DomainEvent<EventData>
      readonly observedAt: number
      /** As the producer sent it: its own version, its data untouched (only `aggregateType` may be empty). */
      readonly received: DomainEvent
    }
  | { readonly kind: 'invalid'; readonly code: EventErrorCode; readonly detail: string; readonly eventId?: string }

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Bytes of a log record to an event of the current version, or what is wrong with them. Total: whatever comes in, it
 * answers. `nowMs` is the log's append time for a record and the clock for a request.
 */
export function decodeEvent(
  bytes: Uint8Array,
  catalog: EventCatalog,
  nowMs: number,
  door: EventDoor = {},
): EventResult {
  if (bytes.length > eventLimits.maxBytes) {
    return invalid('event_too_large', `${bytes.length} bytes, at most ${eventLimits.maxBytes} are accepted`)
  }
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return invalid('undecodable_bytes', 'the bytes are not UTF-8')
  }
  const plain = readPlainEvent(text, catalog)
  if (plain !== null) return settled(plain.received, plain.type, plain.data, nowMs, door)
  return parseEventText(text, catalog, nowMs, door)
}

/** The general path of {@link decodeEvent}: the same answers, and the only one that can tell what is wrong. */
export function parseEventText(text: string, catalog: EventCatalog, nowMs: number, door: EventDoor = {}): EventResult {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    return invalid('invalid_json', error instanceof Error ? error.message : 'not JSON')
  }
  // UTF-8 cannot hold half of a surrogate pair; only an escape can.
  return parseEvent(json, catalog, nowMs, door, text.includes('\\u'))
}

/** An event in either spelling, already parsed as JSON. Total, like {@link decodeEvent}. */
export function parseEvent(
  json: unknown,
  catalog: EventCatalog,
  nowMs: number,
  door: EventDoor = {},
  hasEscapes = true,
): EventResult {
  if (hasEscapes && !isText(json, 0))
    return invalid('undecodable_bytes', 'a text is not Unicode: half of a surrogate pair', idOf(json))
  const forbidden = forbiddenKey(json, 0)
  if (forbidden !== null) return invalid('forbidden_key', forbidden, idOf(json))
  const envelope = parseEnvelope(json, catalog, nowMs)
  if (envelope.kind === 'invalid') return envelope
  const { event } = envelope
  if (event.timestamp < earliestMs || event.timestamp > latestMs) {
    return invalid('invalid_envelope', 'the time is outside the years 0000 to 9999', event.eventId)
  }
  const type = catalog.get(event.eventType)
  if (type === undefined) return invalid('unknown_event_type', `no event type "${event.eventType}"`, event.eventId)
  if (event.aggregateType !== '' && event.aggregateType !== type.aggregateType) {
    return invalid('invalid_envelope', `aggregateType of ${type.type} is "${type.aggregateType}"`, event.eventId)
  }
  const data = currentData(event, type, nowMs)
  if (data.kind === 'fault') return invalid(data.code, data.detail, event.eventId)
  return settled(event, type, data.value, nowMs, door)
}

/** Checks what is left of an event whose data are valid and of the current version. */
function settled(event: DomainEvent, type: EventType, data: EventData, nowMs: number, door: EventDoor): EventResult {
  const current: DomainEvent<EventData> = {
    ...event,
    aggregateType: type.aggregateType,
    version: type.currentVersion,
    data,
  }
  if (data[type.aggregateField] !== event.aggregateId) {
    return invalid('invalid_envelope', `the aggregate id must equal data.${type.aggregateField}`, event.eventId)
  }
  const refused = notAccepted(data, type.accepts)
  if (refused !== null) return invalid('value_not_accepted', refused, event.eventId)
  const observedAt = observationTime(current, type)
  const fault = timeFault({ timestamp: event.timestamp, observedAt }, type.times, nowMs, door)
  if (fault !== null) return invalid(fault.code, fault.detail, event.eventId)
  return { kind: 'valid', event: current, observedAt, received: event }
}

function parseEnvelope(
  json: unknown,
  catalog: EventCatalog,
  nowMs: number,
): { kind: 'ok'; event: DomainEvent } | (EventResult & { kind: 'invalid' }) {
  if (typeof json === 'object' && json !== null && 'eventId' in json) {
    const parsed = domainEventSchema.safeParse(json)
    if (!parsed.success) {
      const hint = isAbout(parsed.error, 'timestamp') ? timeHint(fieldOf(json, 'timestamp'), nowMs) : ''
      return invalid('invalid_envelope', explain(parsed.error) + hint, idOf(json))
    }
    const { timestamp, metadata, causationId, correlationId, ...rest } = parsed.data
    const ms = typeof timestamp === 'number' ? timestamp : Date.parse(timestamp)
    return {
      kind: 'ok',
      event: {
        ...rest,
        timestamp: ms,
        ...(causationId === undefined ? {} : { causationId }),
        ...(correlationId === undefined ? {} : { correlationId }),
        metadata: metadata ?? { source: 'urn:riverbank:http' },
      },
    }
  }
  if (typeof json === 'object' && json !== null && 'data_base64' in json) {
    return invalid('invalid_envelope', 'data_base64 is not read: send the data as JSON, in data', idOf(json))
  }
  const parsed = cloudEventSchema.safeParse(json)
  if (!parsed.success) {
    const hint = isAbout(parsed.error, 'time') ? timeHint(fieldOf(json, 'time'), nowMs, 'RFC 3339 is expected') : ''
    return invalid('invalid_envelope', explain(parsed.error) + hint, idOf(json))
  }
  const { data } = parsed
  const version = versionOf(data, catalog)
  if (version === null) return invalid('invalid_envelope', 'dataschema names another type', data.id)
  return {
    kind: 'ok',
    event: {
      eventId: data.id,
      eventType: data.type,
      timestamp: Date.parse(data.time),
      aggregateId: data.subject,
      aggregateType: '',
      version,
      ...(typeof data.causationid !== 'string' ? {} : { causationId: data.causationid }),
      ...(typeof data.correlationid !== 'string' ? {} : { correlationId: data.correlationid }),
      data: data.data,
      metadata: { source: data.source },
    },
  }
}

/** Null when the schema is another type's. An unknown type is refused as such, whatever its version. */
function versionOf({ type, dataschema }: CloudEvent, catalog: EventCatalog): number | null {
  if (typeof dataschema !== 'string') return catalog.get(type)?.currentVersion ?? 1
  const [, named, version] = schemaUrn.exec(dataschema) ?? []
  return named === type ? Number(version) : null
}

function observationTime(event: DomainEvent<EventData>, type: EventType): number {
  if (type.timestampField === 'time') return event.timestamp
  const time = event.data[type.timestampField]
  return typeof time === 'number' ? time : event.timestamp
}

export function invalid(code: EventErrorCode, detail: string, eventId?: string): EventResult & { kind: 'invalid' } {
  return { kind: 'invalid', code, detail, ...(eventId === undefined ? {} : { eventId }) }
}
