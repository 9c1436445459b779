import type { z } from 'zod'
import { fieldsOfEvent, type EventField } from './event-field.ts'
import type { EventDefinition } from './event-type.ts'
import { checkOptions } from './checks/options.ts'

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>='

/**
 * `field` is a field of the event's data, in the event's own spelling. A missing field meets no condition; any value
 * meets `present`, whose value is true; one of several values meets `among`.
 */
export interface Condition {
  readonly field: string
  readonly is: Comparison | 'present' | 'among'
  readonly value: Scalar | Categories
}

export type Scalar = number | string | boolean
export function isScalar(value: unknown): value is Scalar {
  return typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean'
}

/** The values of a category in the order of their numbers, from 0 on. */
export type Categories = readonly (string | boolean)[]

/** A column of whole numbers made of a text or a boolean: the place of the value among these. */
export interface Category<Field extends string = string> {
  readonly field: Field
  readonly categories: Categories
}

/**
 * A text or a boolean as a number: 0 for the first of the values, 1 for the second. Other values add nothing. Append
 * new values at the end: models know the numbers of the others.
 */
export function category<Field extends string>(field: Field, ...categories: Categories): Category<Field> {
  if (categories.length === 0) throw new Error(`category "${field}": name its values`)
  const twice = categories.find((value, i) => categories.indexOf(value) < i)
  if (twice !== undefined) throw new Error(`category "${field}": ${String(twice)} stands twice`)
  return Object.freeze({ field, categories: Object.freeze([...categories]) })
}

/**
 * The observations that views aggregate: the events of one type, those of them that meet every condition, with the
 * fields that aggregates may use. Feature names contain the names given here.
 */
export interface Source<Name extends string = string, Numeric extends string = string, Text extends string = string> {
  readonly name: Name
  readonly eventType: string
  /** Column name to field of the event's data. */
  readonly columns: Readonly<Record<string, string>>
  /** Columns of whole numbers: sums need one of these. */
  readonly numeric: readonly Numeric[]
  /** Columns of text: aggregates can only count their distinct values. */
  readonly text: readonly Text[]
  /** Columns that an event may lack: an observation without the value adds nothing to aggregates of the column. */
  readonly optional: readonly string[]
  /** The values of columns that are categories. */
  readonly categories: Readonly<Record<string, Categories>>
  readonly where: readonly Condition[]
}

type FieldOf<Data, Type> = {
  [Field in keyof Data]-?: Exclude<Data[Field], undefined | null> extends Type ? Field : never
}[keyof Data] &
  string
type ColumnOf<Data, Columns, Type> = {
  [Column in keyof Columns]: Columns[Column] extends FieldOf<Data, Type> ? Column : never
}[keyof Columns] &
  string
type CategoryOf<Columns> = {
  [Column in keyof Columns]: Columns[Column] extends Category ? Column : never
}[keyof Columns] &
  string

type TypedCondition<Data> = {
  [Field in keyof Data & string]: {
    readonly field: Field
    readonly is: Exclude<Data[Field], undefined | null> extends number ? Comparison : '==' | '!='
    readonly value: Exclude<Data[Field], undefined | null>
  }
}[keyof Data & string]

export function defineSource<
  Name extends string,
  Schema extends z.ZodObject,
  const Columns extends Readonly<
    Record<string, FieldOf<z.infer<Schema>, number | string> | Category<FieldOf<z.infer<Schema>, string | boolean>>>
  >,
>(options: {
  readonly name: Name
  readonly event: EventDefinition<string, Schema>
  readonly columns: Columns
  readonly where?: readonly TypedCondition<z.infer<Schema>>[]
}): Source<
  Name,
  ColumnOf<z.infer<Schema>, Columns, number> | CategoryOf<Columns>,
  ColumnOf<z.infer<Schema>, Columns, string>
> {
  checkOptions(`source "${options.name}"`, options, { required: ['name', 'event', 'columns'], optional: ['where'] })
  const { name, event } = options
  const { columns, categories } = columnsOf(options.columns)
  for (const text of [name, ...Object.keys(columns)]) {
    if (!/^[a-z]+(_[a-z]+)*$/.test(text)) throw new Error(`source "${name}": "${text}" is not lower_snake_case`)
  }
  const numeric: string[] = []
  const text: string[] = []
  const optional: string[] = []
  const fields = fieldsOfEvent(event)
  for (const [column, field] of Object.entries(columns)) {
    const found = fields.get(field)
    if (found === undefined) throw new Error(`source "${name}": ${event.type} has no field ${field}`)
    const kind = columnKind(found, categories[column] ?? null)
    if (kind === null) {
      throw new Error(
        `source "${name}": ${field} of ${event.type} is no column: that is a whole number, a text, or a category of values that it can have`,
      )
    }
    ;(kind === 'number' ? numeric : text).push(column)
    if (found.optional) optional.push(column)
  }
  for (const condition of options.where ?? []) checkCondition(`source "${name}": where`, condition, event.type, fields)
  // The compiler divides columns by the types of their fields, this code by the schemas behind these types.
  return Object.freeze({
    name,
    eventType: event.type,
    columns,
    categories,
    numeric: numeric as (ColumnOf<z.infer<Schema>, Columns, number> | CategoryOf<Columns>)[],
    text: text as ColumnOf<z.infer<Schema>, Columns, string>[],
    optional,
    where: (options.where ?? []) as readonly Condition[],
  })
}

const orders: readonly string[] = ['<', '<=', '>', '>=']
const equalities: readonly string[] = ['==', '!=']
const typeOfKind = { number: 'number', text: 'string', boolean: 'boolean', other: null } as const

/** A condition of another type is not met by the engine and met by SQL, or the other way round. */
function checkCondition(
  what: string,
  condition: { readonly field: string; readonly is: string; readonly value: unknown },
  eventType: string,
  fields: ReadonlyMap<string, EventField>,
): void {
  checkOptions(what, condition, { required: ['field', 'is', 'value'] })
  const { field, is, value } = condition
  const kind = fields.get(field)?.kind
  if (kind === undefined) throw new Error(`${what}: ${eventType} has no field ${field}`)
  const type = typeOfKind[kind]
  if (type === null) throw new Error(`${what}: ${field} is neither a number nor a text nor a boolean`)
  const known = kind === 'number' ? [...equalities, ...orders] : equalities
  if (!known.includes(is))
    throw new Error(`${what}: ${field} is a ${kind}: it can be compared by ${known.join(' ')}, not by ${is}`)
  if (typeof value === type && !Number.isNaN(value)) return
  throw new Error(`${what}: ${field} is a ${kind}, and is compared with ${JSON.stringify(value)}`)
}

function columnsOf(given: Readonly<Record<string, string | Category>>) {
  const columns: Record<string, string> = {}
  const categories: Record<string, Categories> = {}
  for (const [column, field] of Object.entries(given)) {
    columns[column] = typeof field === 'string' ? field : field.field
    if (typeof field !== 'string') categories[column] = field.categories
  }
  return { columns, categories }
}

/** Null for a field that cannot be a column. */
function columnKind({ kind, whole }: EventField, categories: Categories | null): 'number' | 'text' | null {
  if (categories !== null) {
    const type = kind === 'text' ? 'string' : kind
    return categories.every((value) => typeof value === type) ? 'number' : null
  }
  if (kind === 'text') return 'text'
  return kind === 'number' && whole ? 'number' : null
}

/** The observations of a source that have a value in the column: all of them, unless an event may lack it. */
export function withValue<S extends Source>(source: S, column: string): S {
  const field = source.columns[column]
  const categories = source.categories[column]
  if (field !== undefined && categories !== undefined) {
    return Object.freeze({ ...source, where: [...source.where, { field, is: 'among', value: categories }] })
  }
  if (field === undefined || !source.optional.includes(column)) return source
  return Object.freeze({ ...source, where: [...source.where, { field, is: 'present', value: true }] })
}
