import type { z } from 'zod'
import { cloudEventSchema } from '../envelope.ts'
import type { DomainEvent, EventCatalog, EventData, EventType } from '../event.ts'
import { compileCheck, compileReader, type PlainReader } from './plain-schema.ts'
import { utcMsOf } from '../../base/utc-text.ts'

/** An event of its type's current version, before the checks that need more than its schemas. */
export interface PlainEvent {
  readonly received: DomainEvent
  readonly type: EventType
  readonly data: EventData
}

/** The current version of one type of a catalog. */
interface PlainType {
  readonly eventType: string
  readonly type: EventType
  readonly read: PlainReader
}

const text = String.raw`"([^"\u0000-\u001f]+)"`
const time = String.raw`"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"`
/** The spelling of `encodeEvent`, up to the data. The envelope's schema decides which texts may stand there. */
const envelope = new RegExp(
  String.raw`^\{"specversion":"1\.0","id":${text},"type":"([a-z_.]+)","source":${text},"subject":${text},` +
    String.raw`"time":${time},"dataschema":"urn:riverbank:(\2:\d{1,6})","datacontenttype":"application/json"` +
    String.raw`(?:,"correlationid":${text})?(?:,"causationid":${text})?,"data":`,
)

const { shape } = cloudEventSchema
const isEventId = plainly(shape.id)
const isType = plainly(shape.type)
const isSource = plainly(shape.source)
const isSubject = plainly(shape.subject)
const isCorrelation = plainly(shape.correlationid.unwrap().unwrap())
const isCausation = plainly(shape.causationid.unwrap().unwrap())

function plainly(schema: z.ZodType): (value: unknown) => value is string {
  const check = compileCheck(schema) ?? (() => false)
  return (value): value is string => typeof value === 'string' && check(value)
}

/** By `<type>:<version>`, as the URN of the schema ends. Prepared once: a catalog does not change. */
const catalogs = new WeakMap<EventCatalog, ReadonlyMap<string, PlainType>>()

function plainTypes(catalog: EventCatalog): ReadonlyMap<string, PlainType> {
  const known = catalogs.get(catalog)
  if (known !== undefined) return known
  const types = new Map<string, PlainType>()
  for (const [eventType, type] of catalog) {
    const version = type.currentVersion
    const schema = Object.hasOwn(type.versions, version) ? type.versions[version]?.schema : undefined
    const read = schema !== undefined && isType(eventType) ? compileReader(schema) : null
    if (read !== null) types.set(`${eventType}:${version}`, { eventType, type, read })
  }
  catalogs.set(catalog, types)
  return types
}

/**
 * Reads the text of an event that is spelled as `encodeEvent` spells it, without parsing its envelope as JSON. It
 * promises one thing: what it answers is what the general path reads from the same text. At anything unusual (other
 * keys or another order, white space, escapes, another version or time zone, a value that a schema refuses) it answers
 * null, which says nothing about the event.
 */
export function readPlainEvent(json: string, catalog: EventCatalog): PlainEvent | null {
  if (json.includes('\\') || !json.endsWith('}')) return null
  const match = envelope.exec(json)
  if (match === null) return null
  const [opening, eventId, , source, subject, timeText, schema, correlationId, causationId] = match
  if (!isEventId(eventId) || !isSource(source) || !isSubject(subject)) return null
  if (correlationId !== undefined && !isCorrelation(correlationId)) return null
  if (causationId !== undefined && !isCausation(causationId)) return null
  const timestamp = utcMsOf(timeText ?? '')
  const known = plainTypes(catalog).get(schema ?? '')
  if (Number.isNaN(timestamp) || known === undefined) return null
  const written = parsed(json.slice(opening.length, -1))
  const data = known.read(written)
  if (data === null) return null
  const { eventType, type } = known
  const received: DomainEvent = {
    eventId,
    eventType,
    timestamp: timestamp,
    aggregateId: subject,
    aggregateType: '',
    version: type.currentVersion,
    ...(causationId === undefined ? {} : { causationId }),
    ...(correlationId === undefined ? {} : { correlationId }),
    data: written,
    metadata: { source },
  }
  return { received, type, data }
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
