import type { z } from 'zod'
import type { EventDefinition } from './event-type.ts'

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>='

/** `field` is a field of the event's data, in the event's own spelling. What an event does not have meets no condition. */
export interface Condition {
  readonly field: string
  readonly is: Comparison
  readonly value: number | string | boolean
}

/**
 * The observations that views aggregate: the events of one type, those of them that meet every condition, with the
 * fields that aggregates may use. Feature names are made of the names given here.
 */
export interface Source<Name extends string = string, Numeric extends string = string, Text extends string = string> {
  readonly name: Name
  readonly eventType: string
  /** Column name to field of the event's data. */
  readonly columns: Readonly<Record<string, string>>
  /** Columns of whole numbers: what can be summed. */
  readonly numeric: readonly Numeric[]
  /** Columns of text: what can be told apart, and nothing else. */
  readonly text: readonly Text[]
  readonly where: readonly Condition[]
}

type FieldOf<Data, Type> = { [Field in keyof Data]: Data[Field] extends Type ? Field : never }[keyof Data] & string
type ColumnOf<Data, Columns, Type> = {
  [Column in keyof Columns]: Columns[Column] extends FieldOf<Data, Type> ? Column : never
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
  const Columns extends Readonly<Record<string, FieldOf<z.infer<Schema>, number | string>>>,
>(options: {
  readonly name: Name
  readonly event: EventDefinition<string, Schema>
  readonly columns: Columns
  readonly where?: readonly TypedCondition<z.infer<Schema>>[]
}): Source<Name, ColumnOf<z.infer<Schema>, Columns, number>, ColumnOf<z.infer<Schema>, Columns, string>> {
  const { name, event, columns } = options
  for (const text of [name, ...Object.keys(columns)]) {
    if (!/^[a-z]+(_[a-z]+)*$/.test(text)) throw new Error(`source "${name}": "${text}" is not lower_snake_case`)
  }
  const numeric: string[] = []
  const text: string[] = []
  for (const [column, field] of Object.entries(columns)) {
    const isNumber = isNumeric(event.current.shape[field])
    if (isNumber === null) throw new Error(`source "${name}": ${event.type} has no field ${field}`)
    ;(isNumber ? numeric : text).push(column)
  }
  for (const { field } of options.where ?? []) {
    if (!(field in event.current.shape)) throw new Error(`source "${name}": where: ${event.type} has no field ${field}`)
  }
  return Object.freeze({
    name,
    eventType: event.type,
    columns,
    numeric: numeric as ColumnOf<z.infer<Schema>, Columns, number>[],
    text: text as ColumnOf<z.infer<Schema>, Columns, string>[],
    where: (options.where ?? []) as readonly Condition[],
  })
}

/** Null when there is no such field. */
function isNumeric(schema: unknown): boolean | null {
  if (schema === undefined) return null
  return (schema as z.ZodType).type === 'number'
}
