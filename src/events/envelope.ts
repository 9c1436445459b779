import { z } from 'zod'

export const eventLimits = {
  /** Larger bodies are refused at HTTP and dead-lettered from the log. */
  maxBytes: 64 * 1024 - 1,
  /** For every event type. Clocks differ; beyond this an event would move every window of its entities. */
  maxFutureMs: 5 * 60_000,
  maxIdLength: 256,
  maxEventIdLength: 240,
  /** Of an output event: made of the ids of its cause and of its cause's aggregate. */
  outputIdLengthMax: 512,
  maxKeyDepth: 16,
} as const

/**
 * One alphabet for every id, at every door: what CloudEvents allow in a text (no control characters, no noncharacters
 * of the basic plane; half a surrogate pair is refused before), but not `.` and `..`, which no path of a URL can carry:
 * clients resolve them, also percent-encoded. So whatever is accepted can be read by every route, stand in SQL, in a
 * stream and in a header's text.
 */
// Spelled with ranges, because it stands in the API description: not every client has classes of Unicode.
export const idPattern = new RegExp(
  String.raw`^(?!\.\.?$)[^\u0000-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]+$`,
  'u',
)
const idRule = 'must be text without control characters, and not "." or ".."'
export const idSchema = z.string().min(1).max(eventLimits.maxIdLength).regex(idPattern, idRule)
export const eventIdSchema = z.string().min(1).max(eventLimits.maxEventIdLength).regex(idPattern, idRule)
/** What CloudEvents `time` (RFC 3339) can spell: the years 0000 to 9999. */
export const earliestMs = -62_167_219_200_000
export const latestMs = 253_402_300_799_999
export const schemaUrn = /^urn:riverbank:([a-z_.]+):(\d{1,6})$/
/** What the SDKs of CloudEvents write for JSON. */
const jsonType = /^application\/(?:[\w.-]+\+)?json(?: *; *charset="?utf-8"?)?$/i

/** The attributes that may be missing may also be null: the JSON format of CloudEvents spells both. */
export const cloudEventSchema = z.object({
  specversion: z.literal('1.0'),
  id: eventIdSchema,
  type: idSchema,
  source: idSchema,
  subject: idSchema,
  time: z.iso.datetime({ offset: true }),
  dataschema: z
    .string()
    .regex(schemaUrn, 'must be urn:riverbank:<type>:<version>')
    .nullish()
    .describe('version of the data; the newest one of the type when missing'),
  datacontenttype: z.string().regex(jsonType, 'must be application/json').nullish(),
  correlationid: idSchema.nullish(),
  causationid: idSchema.nullish(),
  data: z.unknown(),
})

export const domainEventSchema = z.object({
  eventId: eventIdSchema,
  eventType: idSchema,
  timestamp: z.union([z.number().int().min(earliestMs).max(latestMs), z.iso.datetime({ offset: true })]),
  aggregateId: idSchema,
  aggregateType: idSchema,
  version: z.number().int().positive(),
  causationId: idSchema.optional(),
  correlationId: idSchema.optional(),
  data: z.unknown(),
  metadata: z.object({ source: idSchema }).optional(),
})

/** The two spellings of an event that HTTP accepts; the log carries the first. */
export const eventSpellings = { cloudEvent: cloudEventSchema, domainEvent: domainEventSchema }
export type CloudEvent = z.infer<typeof cloudEventSchema>
