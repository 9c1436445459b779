import type { z } from 'zod'
import { timeField, type BinaryOperation, type Expression } from '../engine/expression.ts'
import { fieldsOfEvent } from './event-field.ts'
import type { EventDefinition } from './event-type.ts'
import {
  aggregateMagnitude,
  constantMagnitude,
  eitherMagnitude,
  floorMagnitude,
  magnitudeOf,
  timeMagnitude,
  type Magnitude,
} from './magnitude.ts'

/**
 * An expression that knows whether its value can be missing. A service accepts values that never are, so an empty
 * window cannot become NaN in a model's vector by accident. The type states what the compiler can know; `nullable` is
 * also true where an operation can leave the finite numbers, which depends on constants.
 */
export interface Typed<Nullable extends boolean = boolean> {
  readonly tree: Expression
  readonly nullable: Nullable
  readonly magnitude: Magnitude
}

export type Operand = Typed | number

type Mixed<A extends Operand, B extends Operand> = IsNullable<A> extends true ? true : IsNullable<B>
type IsNullable<O extends Operand> = O extends Typed<infer Nullable> ? Nullable : false

/**
 * A value that can leave the finite numbers can be missing; a present value is finite. The compiler cannot derive the
 * type `Nullable` from the value `nullable`, so the caller states it.
 */
function typed<Nullable extends boolean>(
  tree: Expression,
  nullable: boolean,
  { least, most }: Magnitude,
): Typed<Nullable> {
  const canLeave = !Number.isFinite(most)
  const magnitude = Object.freeze({ least, most: canLeave ? Number.MAX_VALUE : most })
  return Object.freeze({ tree, nullable: (nullable || canLeave) as Nullable, magnitude })
}

function lift(operand: Operand): Typed {
  if (typeof operand !== 'number') return operand
  if (!Number.isFinite(operand)) throw new Error(`a constant in an expression must be finite, not ${operand}`)
  return typed({ op: 'constant', value: operand }, false, constantMagnitude(operand))
}

function both<A extends Operand, B extends Operand>(op: BinaryOperation, left: A, right: B): Typed<Mixed<A, B>> {
  const [a, b] = [lift(left), lift(right)]
  const tree: Expression = { op, left: a.tree, right: b.tree }
  return typed<Mixed<A, B>>(tree, a.nullable || b.nullable, magnitudeOf(op, a.magnitude, b.magnitude))
}

type Fields<Schema extends z.ZodObject> = z.infer<Schema>
type ReadableField<Schema extends z.ZodObject> = {
  [Field in keyof Fields<Schema>]-?: Exclude<Fields<Schema>[Field], undefined | null> extends number | boolean
    ? Field
    : never
}[keyof Fields<Schema>] &
  string
type MayLack<Value> = undefined extends Value ? true : null extends Value ? true : false

/**
 * A number of the scored event, or a truth as 1 or 0; missing where the event lacks the field. `event` is a scored
 * type: every one that has the field reads its own.
 */
export function eventField<Schema extends z.ZodObject, Field extends ReadableField<Schema>>(
  event: EventDefinition<string, Schema>,
  field: Field,
): Typed<MayLack<Fields<Schema>[Field]>> {
  const found = fieldsOfEvent(event).get(field)
  if (found === undefined) throw new Error(`event type "${event.type}" has no field ${field}`)
  return typed<MayLack<Fields<Schema>[Field]>>({ op: 'request', field }, found.optional, found.magnitude)
}

/** When the scored event was observed, in milliseconds UTC. */
export const eventTime: Typed<false> = typed({ op: 'request', field: timeField }, false, timeMagnitude)

/** A view's `feature` makes it, and so does a derived feature, which knows its own bound. */
export function featureReference<Nullable extends boolean>(
  name: string,
  nullable: Nullable,
  magnitude = aggregateMagnitude,
): Typed<Nullable> {
  return typed({ op: 'feature', name }, nullable, magnitude)
}

export const add = <A extends Operand, B extends Operand>(left: A, right: B) => both('add', left, right)
export const subtract = <A extends Operand, B extends Operand>(left: A, right: B) => both('subtract', left, right)
export const multiply = <A extends Operand, B extends Operand>(left: A, right: B) => both('multiply', left, right)
/** 1 or 0. */
export const less = <A extends Operand, B extends Operand>(left: A, right: B) => both('less', left, right)
/** 1 or 0. */
export const lessOrEqual = <A extends Operand, B extends Operand>(left: A, right: B) =>
  both('less_or_equal', left, right)
/** 1 or 0. */
export const equal = <A extends Operand, B extends Operand>(left: A, right: B) => both('equal', left, right)

/** left ÷ right; null where right is 0, or so small that the quotient is no finite number. */
export function ratio(left: Operand, right: Operand): Typed<true> {
  const { tree, magnitude } = both('ratio', left, right)
  return typed(tree, true, magnitude)
}

/** left ÷ a constant other than 0: null by itself only where the constant is so small that the quotient overflows. */
export function divide<A extends Operand>(left: A, by: number): Typed<IsNullable<A>> {
  if (by === 0) throw new Error('divide by a constant other than 0; ratio answers null where its right side is 0')
  const { tree, nullable, magnitude } = both('ratio', left, by)
  return typed<IsNullable<A>>(tree, nullable, magnitude)
}

/** left − right·⌊left ÷ right⌋ for a constant right other than 0. */
export function modulo<A extends Operand>(left: A, by: number): Typed<IsNullable<A>> {
  if (by === 0) throw new Error('modulo needs a constant other than 0')
  const { tree, nullable, magnitude } = both('modulo', left, by)
  return typed<IsNullable<A>>(tree, nullable, magnitude)
}

export function floor<A extends Operand>(value: A): Typed<IsNullable<A>> {
  const inner = lift(value)
  return typed<IsNullable<A>>({ op: 'floor', value: inner.tree }, inner.nullable, floorMagnitude(inner.magnitude))
}

/** The first value that is there; ends with one that always is. */
export function coalesce(value: Typed, otherwise: Typed<false> | number): Typed<false> {
  const last = lift(otherwise)
  const tree: Expression = { op: 'coalesce', values: [value.tree, last.tree] }
  return typed<false>(tree, last.nullable, eitherMagnitude(value.magnitude, last.magnitude))
}

/** (value − mean) ÷ standard deviation; null where there is no mean or the deviation is 0. */
export function zScore(value: Operand, mean: Operand, deviation: Operand): Typed<true> {
  return ratio(subtract(value, mean), deviation)
}

/**
 * A count and a sum of a window with the scored event itself, which the window by definition has not seen: `value` is
 * what it adds to the sum. `mean` is their quotient, never null: the event itself counts.
 */
export function includingThisEvent(counted: Typed<false>, summed: Typed<false>, value: Typed<false>) {
  const count = add(counted, 1)
  const sum = add(summed, value)
  return { count, sum, mean: coalesce(ratio(sum, count), 0) }
}

const dayMs = 86_400_000
/** 0 to 23, UTC. */
export function hourOfDay(timeMs: Typed<false>): Typed<false> {
  return floor(divide(modulo(timeMs, dayMs), 3_600_000))
}

/** 0 is Sunday, 6 is Saturday, UTC. 1970-01-01 was a Thursday. */
export function dayOfWeek(timeMs: Typed<false>): Typed<false> {
  return modulo(add(floor(divide(timeMs, dayMs)), 4), 7)
}
