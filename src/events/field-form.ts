import { z } from 'zod'
import type { EventType } from './event.ts'

/** The kind of a field of an event's data, as definitions, scores and the lake tell them apart. */
export type FieldKind = 'text' | 'integer' | 'number' | 'boolean' | 'JSON'

export interface FieldForm {
  readonly kind: FieldKind
  /** The field may be left out. */
  readonly isOptional: boolean
  /** The field may be null. */
  readonly isNullable: boolean
  /** The schema without what makes it optional, nullable or a default. */
  readonly inner: z.core.$ZodType
}

/** What the schema of a field accepts: JSON where it is no single value of one kind. */
export function fieldForm(schema: z.core.$ZodType): FieldForm {
  if (schema instanceof z.core.$ZodOptional) return { ...fieldForm(schema._zod.def.innerType), isOptional: true }
  if (schema instanceof z.core.$ZodNullable) return { ...fieldForm(schema._zod.def.innerType), isNullable: true }
  if (
    schema instanceof z.core.$ZodDefault ||
    schema instanceof z.core.$ZodPrefault ||
    schema instanceof z.core.$ZodNonOptional
  ) {
    return { ...fieldForm(schema._zod.def.innerType), isOptional: false }
  }
  if (schema instanceof z.core.$ZodReadonly || schema instanceof z.core.$ZodCatch) {
    return fieldForm(schema._zod.def.innerType)
  }
  return { kind: kindOf(schema), isOptional: false, isNullable: false, inner: schema }
}

const wholeFormats: ReadonlySet<string | null> = new Set(['safeint', 'int32', 'uint32'])

function kindOf(schema: z.core.$ZodType): FieldKind {
  if (schema instanceof z.core.$ZodString || schema instanceof z.core.$ZodTemplateLiteral) return 'text'
  if (schema instanceof z.ZodNumber) return wholeFormats.has(schema.format) ? 'integer' : 'number'
  if (schema instanceof z.core.$ZodBoolean) return 'boolean'
  if (schema instanceof z.core.$ZodEnum) return kindOfValues(Object.values(schema._zod.def.entries))
  if (schema instanceof z.core.$ZodLiteral) return kindOfValues(schema._zod.def.values)
  return 'JSON'
}

function kindOfValues(values: readonly unknown[]): FieldKind {
  if (values.every((value) => typeof value === 'string')) return 'text'
  if (values.every((value) => typeof value === 'boolean')) return 'boolean'
  if (values.every((value) => Number.isSafeInteger(value))) return 'integer'
  return values.every((value) => typeof value === 'number') ? 'number' : 'JSON'
}

/** The schemas of the fields of the newest version's data, by name. */
export function shapeOfEvent({
  versions,
  currentVersion,
}: Pick<EventType, 'versions' | 'currentVersion'>): Readonly<Record<string, z.core.$ZodType>> {
  const { schema } = versions[currentVersion] ?? {}
  return schema instanceof z.ZodObject ? schema.shape : {}
}
