import { z } from 'zod'
import { eventSpellings } from '../../events/envelope.ts'
import { schemaOf, type EventCatalog, type EventType } from '../../events/event.ts'
import { named } from '../http/schemas.ts'

/** The schemas of the bodies of `POST /v1/events`, each with a name in the API description. */
export interface EventSchemas {
  readonly cloudEvent: z.ZodType
  readonly domainEvent: z.ZodType
  /** The data of an event in binary mode. */
  readonly data: z.ZodType
  readonly all: readonly z.ZodType[]
}

/**
 * The schemas of the events of a catalog, in both spellings: one for each version of each type, with the schema that
 * checks its data. No schema states two rules: the aggregate's id repeats a field of the data, and times have limits.
 */
export function eventSchemas(catalog: EventCatalog): EventSchemas {
  const data: z.ZodType[] = []
  const cloud: z.ZodType[] = []
  const domain: z.ZodType[] = []
  for (const { type, aggregateType, versions, currentVersion, accepts } of catalog.values()) {
    for (const [key, { schema: known }] of Object.entries(versions)) {
      const schema = accepting(known, accepts)
      const version = Number(key)
      const name = `${type}.v${version}`
      const dataschema = z.literal(schemaOf(type, version))
      data.push(named(name, schema))
      const cloudEvent = eventSpellings.cloudEvent.extend({
        type: z.literal(type),
        dataschema: version === currentVersion ? dataschema.nullish().describe(newest) : dataschema,
        data: schema,
      })
      cloud.push(named(`${name}.cloudevent`, cloudEvent))
      const domainEvent = eventSpellings.domainEvent.extend({
        eventType: z.literal(type),
        aggregateType: z.literal(aggregateType),
        version: z.literal(version),
        data: schema,
      })
      domain.push(named(`${name}.event`, domainEvent))
    }
  }
  const cloudEvent = named('CloudEvent', z.union(cloud))
  const domainEvent = named('DomainEvent', z.union(domain))
  const anyData = named('EventData', z.union(data))
  return {
    cloudEvent,
    domainEvent,
    data: anyData,
    all: [...data, ...cloud, ...domain, cloudEvent, domainEvent, anyData],
  }
}

/** The schema, narrowed to the values that the event type accepts. */
export function accepting(schema: z.ZodType, accepts: EventType['accepts']): z.ZodType {
  if (!(schema instanceof z.ZodObject)) return schema
  const fields = Object.entries(accepts).filter(([field]) => Object.hasOwn(schema.shape, field))
  return schema.extend(Object.fromEntries(fields.map(([field, values]) => [field, z.enum(values)])))
}

const newest = 'the newest version when missing'
