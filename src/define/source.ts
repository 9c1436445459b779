import type { z } from 'zod'
import type { EventDefinition } from './event-type.ts'

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>='

/** `field` is a field of the event's data, in the event's own spelling. */
export interface Condition {
  readonly field: string
  readonly is: Comparison
  readonly value: number | string
}

/**
 * The observations that views aggregate: the events of one type, those of them that meet every condition, with the
 * fields that aggregates may use. Feature names are made of the names given here.
 */
export interface Source<Name extends string = string, Numeric extends string = string> {
  readonly name: Name
  readonly eventType: string
  /** Column name to field of the event's data; numbers only. */
  readonly columns: Readonly<Record<Numeric, string>>
  readonly where: readonly Condition[]
}

type NumberField<Data> = { [Field in keyof Data]: Data[Field] extends number ? Field : never }[keyof Data] & string

type TypedCondition<Data> = {
  [Field in keyof Data & string]: {
    readonly field: Field
    readonly is: Data[Field] extends number ? Comparison : '==' | '!='
    readonly value: Data[Field]
  }
}[keyof Data & string]

export function defineSource<
  Name extends string,
  Schema extends z.ZodObject,
  const Columns extends Readonly<Record<string, NumberField<z.infer<Schema>>>>,
>(options: {
  readonly name: Name
  readonly event: EventDefinition<string, Schema>
  readonly columns: Columns
  readonly where?: readonly TypedCondition<z.infer<Schema>>[]
}): Source<Name, keyof Columns & string> {
  for (const name of [options.name, ...Object.keys(options.columns)]) {
    if (!/^[a-z]+(_[a-z]+)*$/.test(name)) throw new Error(`source "${options.name}": "${name}" is not lower_snake_case`)
  }
  return Object.freeze({
    name: options.name,
    eventType: options.event.type,
    columns: options.columns,
    where: (options.where ?? []) as readonly Condition[],
  })
}
