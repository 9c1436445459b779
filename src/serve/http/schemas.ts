import { z } from 'zod'
import { reasonSchema } from '../../scoring/explain/reason.ts'
import type { ScoreForm } from '../../scoring/score-form.ts'
import { problemCodes } from './problem-codes.ts'

/** Names of schemas in the API description, which lists each once. */
const names = new WeakMap<z.ZodType, string>()

/** The same schema, with a name in the API description. */
export function named<Schema extends z.ZodType>(name: string, schema: Schema): Schema {
  names.set(schema, name)
  return schema
}

export function nameOf(schema: z.ZodType): string | undefined {
  return names.get(schema)
}

/** The members of every problem: those of RFC 9457, and our code. */
const fault = {
  type: z.string().describe('urn:riverbank:problem:<code>; stable'),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.enum(problemCodes),
}

/** Why one event of a batch was rejected. */
export const eventFaultSchema = named('EventFault', z.object(fault))

/** The result of one event; `score` has the data of its score. */
function eventResultOf(score: z.ZodType) {
  return z.union([
    z.object({
      eventId: z.string(),
      status: z.literal('accepted'),
      partition: z.number().int().optional().describe('where the first event of this identity is, when that is known'),
      offset: z.number().int().optional(),
      repeated: z.literal(true).optional().describe('it had come before, with the same content; nothing was published'),
      score: score.optional(),
    }),
    z.object({ eventId: z.string().nullable(), status: z.literal('rejected'), problem: eventFaultSchema }),
  ])
}

export type EventResult = z.infer<ReturnType<typeof eventResultOf>>

/** Members of problems beside those of RFC 9457; each with the codes that have it. */
const extrasOf = (eventResult: z.ZodType<EventResult>) => ({
  eventId: z.string().nullable().optional().describe('of an event that was rejected; null when it has none'),
  results: z.array(eventResult).optional().describe('batch_rejected: why, one by one'),
  aggregateIds: z.array(z.string()).readonly().optional().describe('ambiguous_event_id: whose events have this id'),
  names: z.array(z.string()).optional().describe('what the request names and is wrong or missing'),
  reasons: z.array(z.string()).optional().describe('not_ready: why'),
  checks: z.record(z.string(), z.string()).optional().describe('not_ready: what was looked at, and how it is'),
})
type Extras = ReturnType<typeof extrasOf>
export type ProblemExtras = { readonly [Name in keyof Extras]?: z.infer<Extras[Name]> }

/** By event type of the scored events. */
type ScoreForms = ReadonlyMap<string, ScoreForm>

/** The schemas that depend on the scored events, each once. */
export interface ScoreSchemas {
  /** The data of a score, of any type. */
  readonly score: z.ZodType
  readonly eventResult: z.ZodType<EventResult>
  /** Schemas that other schemas use. */
  readonly shared: readonly z.ZodType[]
}

const known = new WeakMap<ScoreForms, ScoreSchemas>()

export function scoreSchemas(forms: ScoreForms): ScoreSchemas {
  const made = known.get(forms) ?? makeSchemas([...forms.values()])
  known.set(forms, made)
  return made
}

function makeSchemas(forms: readonly ScoreForm[]): ScoreSchemas {
  const each = forms.map(({ emits, schema }) => named(pascalCase(emits), schema))
  const [only] = each
  const score = each.length === 1 && only !== undefined ? only : named('Score', z.union(each))
  const eventResult = named('EventResult', eventResultOf(score))
  const problem = named(
    'Problem',
    z.object({
      ...fault,
      instance: z.string().optional(),
      requestId: z.string().optional(),
      ...extrasOf(eventResult),
    }),
  )
  return {
    score,
    eventResult,
    shared: [...new Set<z.ZodType>([problem, eventFaultSchema, eventResult, ...each, score, reasonSchema])],
  }
}

/** `login.scored` is `LoginScored`. */
function pascalCase(type: string): string {
  return type.replaceAll(/(?:^|[._])([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

named('Reason', reasonSchema)
