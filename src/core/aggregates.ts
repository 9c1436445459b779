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
  /** `cells` says where in `merged` the aggregate's slots stand. */
  finalize(merged: readonly Accumulator[], cells: readonly number[]): number | null
}

/** mean: slots [sum, count]. rate: slots [matching, all]. */
export const aggregateRules: Readonly<Record<AggregateKind, AggregateRule>> = {
  count: { type: 'integer', nullable: false, finalize: first },
  sum: { type: 'integer', nullable: false, finalize: first },
  mean: { type: 'double', nullable: true, finalize: quotient },
  rate: { type: 'double', nullable: true, finalize: quotient },
}

function first(merged: readonly Accumulator[], cells: readonly number[]): number {
  return cell(merged, cells[0])
}

function quotient(merged: readonly Accumulator[], cells: readonly number[]): number | null {
  const denominator = cell(merged, cells[1])
  return denominator === 0 ? null : cell(merged, cells[0]) / denominator
}

function cell(merged: readonly Accumulator[], index: number | undefined): Accumulator {
  const value = index === undefined ? undefined : merged[index]
  assert(value !== undefined, 'an aggregate has all its slots')
  return value
}
