import { z } from 'zod'
import { isRecord } from '../../base/record.ts'
import { utcMsOf } from '../../base/utc-text.ts'

/** Whether zod accepts the value and gives it back as it is. `false` may also mean: ask zod. */
export type PlainCheck = (value: unknown) => boolean

/** The value that zod would give back, keys in the same order, or null: ask zod. */
export type PlainReader = (value: unknown) => Readonly<Record<string, unknown>> | null

interface PlainField {
  readonly key: string
  readonly optional: boolean
  readonly check: PlainCheck
}

/**
 * Compiles the schema of an object to a reader that costs a fraction of zod. It promises one thing: what it answers is
 * what zod would answer. It never judges: at the first thing that is not plainly valid (an unknown key, a value of
 * another kind) its answer is null. So is this function's, for a schema with anything in it that is not listed here.
 */
export function compileReader(schema: z.core.$ZodType): PlainReader | null {
  if (!(schema instanceof z.core.$ZodObject)) return null
  const fields = compileFields(schema)
  if (fields === null) return null
  return (value) => {
    if (!isRecord(value)) return null
    if (isPlain(fields, value)) return value
    const ordered = inOrder(fields, value)
    return ordered !== null && isPlain(fields, ordered) ? ordered : null
  }
}

function compileFields(schema: z.core.$ZodObject): readonly PlainField[] | null {
  if (!hasOnly(schema._zod.def, 'shape')) return null
  const fields: PlainField[] = []
  const { shape } = schema._zod.def
  for (const key of Reflect.ownKeys(shape)) {
    // Names that every object inherits, or that no event may carry, are not a matter of plain reading.
    if (typeof key !== 'string' || key in {} || key === 'prototype') return null
    const field = shape[key]
    const optional = field instanceof z.core.$ZodOptional && hasOnly(field._zod.def, 'innerType')
    const check = compileCheck(optional ? field._zod.def.innerType : field)
    if (check === null) return null
    fields.push({ key, optional, check })
  }
  return fields
}

/** Compiles the schema of a value; null when it holds anything that is not listed here. */
export function compileCheck(schema: z.core.$ZodType | undefined): PlainCheck | null {
  if (schema instanceof z.core.$ZodISODateTime) return compileTime(schema)
  if (schema instanceof z.core.$ZodString) return compileText(schema)
  if (schema instanceof z.core.$ZodNumber) return compileNumber(schema)
  if (schema instanceof z.core.$ZodBoolean && hasOnly(schema._zod.def)) return (value) => typeof value === 'boolean'
  if (schema instanceof z.core.$ZodUnknown && hasOnly(schema._zod.def)) return () => true
  if (schema instanceof z.core.$ZodNullable && hasOnly(schema._zod.def, 'innerType')) {
    const check = compileCheck(schema._zod.def.innerType)
    return check === null ? null : (value) => value === null || check(value)
  }
  if (schema instanceof z.core.$ZodObject) return compileNested(schema)
  if (schema instanceof z.core.$ZodRecord) return compileRecord(schema)
  if (schema instanceof z.core.$ZodArray && hasOnly(schema._zod.def, 'element')) {
    const check = compileCheck(schema._zod.def.element)
    return check === null ? null : (value) => Array.isArray(value) && value.every(check)
  }
  if (schema instanceof z.core.$ZodEnum && hasOnly(schema._zod.def, 'entries')) {
    return oneOf(Object.values(schema._zod.def.entries))
  }
  if (schema instanceof z.core.$ZodLiteral && hasOnly(schema._zod.def, 'values')) return oneOf(schema._zod.def.values)
  return null
}

/** Accepts a moment only as we spell it. */
function compileTime(schema: z.core.$ZodISODateTime): PlainCheck | null {
  const { def } = schema._zod
  const isUsual = hasOnly(def, 'format', 'check', 'offset', 'local', 'precision', 'pattern', 'abort', 'checks')
  if (!isUsual || (def.precision ?? null) !== null || (def.checks ?? []).length > 0) return null
  return (value) => typeof value === 'string' && ourTime.test(value) && !Number.isNaN(utcMsOf(value))
}

const ourTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** zod gives back what it was given only where the keys have the order of the schema. */
function compileNested(schema: z.core.$ZodObject): PlainCheck | null {
  const fields = compileFields(schema)
  return fields === null ? null : (value) => isRecord(value) && isPlain(fields, value)
}

function compileRecord(schema: z.core.$ZodRecord): PlainCheck | null {
  const { keyType, valueType } = schema._zod.def
  const isOfTexts = keyType instanceof z.core.$ZodString && hasOnly(keyType._zod.def)
  const check = compileCheck(valueType)
  if (check === null || !isOfTexts || !hasOnly(schema._zod.def, 'keyType', 'valueType')) return null
  return (value) => {
    if (!isRecord(value)) return false
    for (const key in value) if (key === '__proto__' || !check(value[key])) return false
    return true
  }
}

function compileText(schema: z.core.$ZodString): PlainCheck | null {
  const { def } = schema._zod
  if (!hasOnly(def, 'checks')) return null
  const rules = all((def.checks ?? []).map(textRule))
  return rules === null ? null : (value) => typeof value === 'string' && rules(value)
}

/** zod measures texts in code points, of which one may take two units. */
function textRule(check: z.core.$ZodCheck): ((text: string) => boolean) | null {
  if (check instanceof z.core.$ZodCheckMinLength) {
    const { minimum } = check._zod.def
    if (minimum <= 1) return (text) => text.length >= minimum
    return (text) => text.length >= 2 * minimum || Array.from(text).length >= minimum
  }
  if (check instanceof z.core.$ZodCheckMaxLength) {
    const { maximum } = check._zod.def
    return (text) => text.length <= maximum || (text.length <= 2 * maximum && Array.from(text).length <= maximum)
  }
  if (check instanceof z.core.$ZodCheckRegex) {
    const { pattern } = check._zod.def
    return isStateless(pattern) ? (text) => pattern.test(text) : null
  }
  return null
}

function compileNumber(schema: z.core.$ZodNumber): PlainCheck | null {
  const { def } = schema._zod
  if (!hasOnly(def, 'checks')) return null
  const rules = all((def.checks ?? []).map(numberRule))
  return rules === null ? null : (value) => typeof value === 'number' && Number.isFinite(value) && rules(value)
}

function numberRule(check: z.core.$ZodCheck): ((number: number) => boolean) | null {
  if (check instanceof z.core.$ZodCheckNumberFormat) {
    return check._zod.def.format === 'safeint' ? Number.isSafeInteger : null
  }
  if (check instanceof z.core.$ZodCheckGreaterThan || check instanceof z.core.$ZodCheckLessThan) {
    const { value: bound, inclusive } = check._zod.def
    if (typeof bound !== 'number') return null
    if (check instanceof z.core.$ZodCheckGreaterThan) {
      return inclusive ? (number) => number >= bound : (number) => number > bound
    }
    return inclusive ? (number) => number <= bound : (number) => number < bound
  }
  return null
}

function oneOf(values: readonly unknown[]): PlainCheck | null {
  const known = new Set(values)
  return values.every((value) => typeof value === 'string') ? (value: unknown) => known.has(value) : null
}

/** The rules as one, or null where one of them is unknown. */
function all<T>(rules: readonly (((value: T) => boolean) | null)[]): ((value: T) => boolean) | null {
  const known = rules.filter((rule) => rule !== null)
  if (known.length < rules.length) return null
  const [only] = known
  if (known.length === 1 && only !== undefined) return only
  return (value) => {
    for (const rule of known) if (!rule(value)) return false
    return true
  }
}

function isStateless(pattern: RegExp): boolean {
  return !pattern.global && !pattern.sticky
}

/** What a schema is made of: an option that is not named here could mean anything. */
function hasOnly(def: object, ...options: readonly string[]): boolean {
  return Object.keys(def).every((key) => key === 'type' || key === 'error' || options.includes(key))
}

/** Whether the record holds these fields and nothing else, in this order. */
function isPlain(fields: readonly PlainField[], record: Readonly<Record<string, unknown>>): boolean {
  let next = 0
  for (const key in record) {
    let field = fields[next]
    while (field !== undefined && field.key !== key && field.optional) field = fields[++next]
    if (field?.key !== key || !field.check(record[key])) return false
    next += 1
  }
  while (fields[next]?.optional === true) next += 1
  return next === fields.length
}

/** The same record with its keys in the order of the schema; null when it has a key that the schema has not. */
function inOrder(
  fields: readonly PlainField[],
  record: Readonly<Record<string, unknown>>,
): Record<string, unknown> | null {
  const ordered: Record<string, unknown> = {}
  let known = 0
  for (const { key } of fields) {
    if (!Object.hasOwn(record, key)) continue
    ordered[key] = record[key]
    known += 1
  }
  return known === Object.keys(record).length ? ordered : null
}
