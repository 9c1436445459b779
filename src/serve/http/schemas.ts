import { z } from 'zod'
import { paymentScoredSchema } from '../../scoring/emitted.ts'
import { reasonSchema } from '../../scoring/explain/reason.ts'
import { problemCodes } from './problem.ts'

/** Names of schemas in the API description, where each stands once. */
const names = new WeakMap<z.ZodType, string>()

/** The same schema, with a name in the API description. */
export function named<Schema extends z.ZodType>(name: string, schema: Schema): Schema {
  names.set(schema, name)
  return schema
}

export function nameOf(schema: z.ZodType): string | undefined {
  return names.get(schema)
}

/** What every problem has: RFC 9457, and our code. */
const fault = {
  type: z.string().describe('urn:riverbank:problem:<code>; stable'),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.enum(problemCodes),
}

/** Why one event of a batch was rejected. */
export const eventFaultSchema = named('EventFault', z.object(fault))

export const eventResultSchema = named(
  'EventResult',
  z.union([
    z.object({
      eventId: z.string(),
      status: z.literal('accepted'),
      partition: z.number().int().optional().describe('where the first event of this identity is, when that is known'),
      offset: z.number().int().optional(),
      repeated: z.literal(true).optional().describe('it had come before, with the same content; nothing was published'),
      score: paymentScoredSchema.optional(),
    }),
    z.object({ eventId: z.string().nullable(), status: z.literal('rejected'), problem: eventFaultSchema }),
  ]),
)

export type EventResult = z.infer<typeof eventResultSchema>

/** Members of problems beside those of RFC 9457; each with the codes that have it. */
const extras = {
  eventId: z.string().nullable().optional().describe('of an event that was rejected; null when it has none'),
  results: z.array(eventResultSchema).optional().describe('batch_rejected: why, one by one'),
  aggregateIds: z.array(z.string()).readonly().optional().describe('ambiguous_event_id: whose events have this id'),
  names: z.array(z.string()).optional().describe('what the request names and is wrong or missing'),
  reasons: z.array(z.string()).optional().describe('not_ready: why'),
  checks: z.record(z.string(), z.string()).optional().describe('not_ready: what was looked at, and how it is'),
}
export type ProblemExtras = { readonly [Name in keyof typeof extras]?: z.infer<(typeof extras)[Name]> }

/** Every error of this API. */
export const problemSchema = named(
  'Problem',
  z.object({ ...fault, instance: z.string().optional(), requestId: z.string().optional(), ...extras }),
)

named('PaymentScored', paymentScoredSchema)
named('Reason', reasonSchema)

/** Schemas that others are made of. */
export const sharedSchemas: readonly z.ZodType[] = [
  problemSchema,
  eventFaultSchema,
  eventResultSchema,
  paymentScoredSchema,
  reasonSchema,
]
