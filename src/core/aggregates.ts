import { assert } from './errors.ts'

/**
 * A slot is the part of an aggregate that tiles hold; several aggregates share one (a mean is a sum and a count).
 * Each kind is an algebra over its accumulator: `update` adds one prepared value, `merge` joins two tiles. Sums are
 * over integers, so neither order nor grouping can change a bit.
 */
export type SlotKind = 'count' | 'sum'
export type Accumulator = number

export interface SlotAlgebra {
  readonly empty: Accumulator
  update(accumulator: Accumulator, value: number): Accumulator
  merge(left: Accumulator, right: Accumulator): Accumulator
}

export const slotAlgebras: Readonly<Record<SlotKind, SlotAlgebra>> = {
  count: { empty: 0, update: (count) => count + 1, merge: (left, right) => left + right },
  sum: { empty: 0, update: (sum, value) => sum + value, merge: (left, right) => left + right },
}

/** How an aggregate's value follows from its slots, merged over the window. Null: there was nothing to aggregate. */
export type AggregateKind = 'count' | 'sum' | 'mean' | 'rate'

export interface AggregateRule {
  readonly type: 'integer' | 'double'
  readonly nullable: boolean
  finalize(slots: readonly Accumulator[]): number | null
}

/** mean: slots [sum, count]. rate: slots [matching, all]. */
export const aggregateRules: Readonly<Record<AggregateKind, AggregateRule>> = {
  count: { type: 'integer', nullable: false, finalize: (slots) => slot(slots, 0) },
  sum: { type: 'integer', nullable: false, finalize: (slots) => slot(slots, 0) },
  mean: { type: 'double', nullable: true, finalize: (slots) => quotient(slot(slots, 0), slot(slots, 1)) },
  rate: { type: 'double', nullable: true, finalize: (slots) => quotient(slot(slots, 0), slot(slots, 1)) },
}

function quotient(numerator: number, denominator: number): number | null {
  return denominator === 0 ? null : numerator / denominator
}

function slot(slots: readonly Accumulator[], index: number): Accumulator {
  const value = slots[index]
  assert(value !== undefined, 'an aggregate has all its slots')
  return value
}
