import { z } from 'zod'
import { scoreSchema } from './output-events.ts'
import type { EventType } from '../events/event.ts'
import { fieldForm, type FieldKind } from '../events/field-form.ts'
import type { ScoredRule } from '../events/scored-rule.ts'

/** One type of scores, described once: its JSON, its columns in the lake and its schema over HTTP follow from this. */
export interface ScoreForm extends ScoredRule {
  /** The type that is scored. */
  readonly eventType: string
  /** The field of the data that repeats the id of the event's aggregate. */
  readonly aggregateField: string
  /** Of the data: the event's id, the fields that it repeats, its time, and {@link scoreSchema}. */
  readonly schema: z.ZodObject
}

/** Null for a type that is not scored. */
export function scoreFormOf({ type, scored, aggregateField, versions, currentVersion }: EventType): ScoreForm | null {
  if (scored === undefined) return null
  const { schema } = versions[currentVersion] ?? {}
  const repeated = scored.repeats.map((field): [string, z.ZodType] => [field, repeatedSchema(fieldIn(schema, field))])
  const named = {
    [scored.idField]: z.string(),
    ...Object.fromEntries(repeated),
    [scored.timeField]: z.number().int(),
  }
  return { ...scored, eventType: type, aggregateField, schema: z.object({ ...named, ...scoreSchema.shape }) }
}

function fieldIn(schema: z.ZodType | undefined, field: string): z.ZodType | undefined {
  const found: unknown = schema instanceof z.ZodObject ? schema.shape[field] : undefined
  return found instanceof z.ZodType ? found : undefined
}

/** Its kind, without today's rules: a score repeats what was accepted then. */
function repeatedSchema(field: z.ZodType | undefined): z.ZodType {
  if (field === undefined) return z.unknown()
  const { kind, isOptional, isNullable } = fieldForm(field)
  const schema = isNullable ? schemas[kind].nullable() : schemas[kind]
  return isOptional ? schema.optional() : schema
}

const schemas: Readonly<Record<FieldKind, z.ZodType>> = {
  text: z.string(),
  integer: z.number().int(),
  number: z.number(),
  boolean: z.boolean(),
  JSON: z.unknown(),
}

/** The forms of all scored types of a catalog, in its order. */
export function scoreForms(events: Iterable<EventType>): readonly ScoreForm[] {
  return [...events].map(scoreFormOf).filter((form) => form !== null)
}
