import type { SlotKind } from '../engine/slot-kind.ts'
import { aggregateRules, type AggregateKind } from '../engine/aggregate.ts'
import { withValue, type Source } from './source.ts'

export interface SlotDefinition {
  readonly kind: SlotKind
  readonly source: Source
  /** A column of the source; null where only the observation itself or its time matters. */
  readonly column: string | null
  /** Points or values kept; 0 for the other kinds. */
  readonly size: number
}

/** `name` is what the aggregate adds to a feature's name: column and aggregate, such as `amount_sum`. */
export interface Aggregate<Name extends string = string, Nullable extends boolean = boolean> {
  readonly name: Name
  readonly kind: AggregateKind
  readonly nullable: Nullable
  readonly slots: readonly SlotDefinition[]
  /** Counted from the newest (1), for `last`; 1 for the others. */
  readonly position: number
}

/** How many observations. */
export function count<Name extends string>(source: Source<Name>): Aggregate<`${Name}_count`, false> {
  return aggregate(`${source.name}_count`, 'count', [slot('count', source, null)])
}

/** The exact sum of a whole-number column; 0 when there is nothing. Limit: |sum| ≤ 2^52. */
export function sum<Column extends string, Name extends Column>(
  source: Source<string, Column>,
  column: Name,
): Aggregate<`${Name}_sum`, false> {
  return aggregate(`${column}_sum`, 'sum', [slot('sum', source, column)])
}

/** sum ÷ count, one rounding; null when there is nothing. */
export function mean<Column extends string, Name extends Column>(
  source: Source<string, Column>,
  column: Name,
): Aggregate<`${Name}_mean`, true> {
  return aggregate(`${column}_mean`, 'mean', [
    slot('sum', source, column),
    slot('count', withValue(source, column), null),
  ])
}

export function min<Column extends string, Name extends Column>(
  source: Source<string, Column>,
  column: Name,
): Aggregate<`${Name}_min`, true> {
  return aggregate(`${column}_min`, 'min', [slot('min', source, column)])
}

export function max<Column extends string, Name extends Column>(
  source: Source<string, Column>,
  column: Name,
): Aggregate<`${Name}_max`, true> {
  return aggregate(`${column}_max`, 'max', [slot('max', source, column)])
}

/**
 * The sample standard deviation, √((n·Σx² − (Σx)²) ÷ (n·(n − 1))) over exact integers; null below two observations.
 * Limit: |x| ≤ 2^40, a million observations.
 */
export function stddev<Column extends string, Name extends Column>(
  source: Source<string, Column>,
  column: Name,
): Aggregate<`${Name}_stddev`, true> {
  const slots = [
    slot('square_sum', source, column),
    slot('sum', source, column),
    slot('count', withValue(source, column), null),
  ]
  return aggregate(`${column}_stddev`, 'stddev', slots)
}

/** The value of the oldest observation; of two at the same time the one that came first. */
export function first<Column extends string, Name extends Column>(
  source: Source<string, Column>,
  column: Name,
): Aggregate<`${Name}_first`, true> {
  return aggregate(`${column}_first`, 'first', [slot('oldest', source, column, 1)])
}

/** The value of the newest observation; of two at the same time the one that came last. */
export function last<Column extends string, Name extends Column>(
  source: Source<string, Column>,
  column: Name,
): Aggregate<`${Name}_last`, true> {
  return aggregate(`${column}_last`, 'last', [slot('newest', source, column, 1)])
}

const lastKMax = 32

/**
 * The values of the newest k observations, one feature each; `amount_last_1` is the newest. Null where there are fewer.
 */
export function lastK<Column extends string, Name extends Column>(
  source: Source<string, Column>,
  column: Name,
  k: number,
): readonly Aggregate<`${Name}_last_${number}`, true>[] {
  if (!Number.isSafeInteger(k) || k < 1 || k > lastKMax) {
    throw new Error(`lastK of ${column}: k is a whole number from 1 to ${lastKMax}, not ${k}`)
  }
  const slots = [slot('newest', source, column, k)]
  return Array.from({ length: k }, (_, i) => aggregate(`${column}_last_${i + 1}` as const, 'last', slots, i + 1))
}

const distinctCapMax = 1_024

/** How many different values, exact below `cap`; a value of `cap` means "at least", and is flagged as saturated. */
export function distinct<Numeric extends string, Text extends string, Name extends Numeric | Text>(
  source: Source<string, Numeric, Text>,
  column: Name,
  options: { readonly cap: number },
): Aggregate<`${Name}_distinct`, false> {
  const { cap } = options
  if (!Number.isSafeInteger(cap) || cap < 1 || cap > distinctCapMax) {
    throw new Error(`distinct of ${column}: the cap is a whole number from 1 to ${distinctCapMax}, not ${cap}`)
  }
  return aggregate(`${column}_distinct`, 'distinct', [slot('distinct', source, column, cap)])
}

/** How many of `source` for each of `among`; null when there is none of `among`. */
export function rate<Name extends string>(source: Source<Name>, among: Source): Aggregate<`${Name}_rate`, true> {
  return aggregate(`${source.name}_rate`, 'rate', [slot('count', source, null), slot('count', among, null)])
}

/** Seconds from the oldest observation to the read; null when there is none. */
export function secondsSinceFirst<Name extends string>(
  source: Source<Name>,
): Aggregate<`${Name}_seconds_since_first`, true> {
  return aggregate(`${source.name}_seconds_since_first`, 'seconds_since_first', [slot('oldest_time', source, null)])
}

/** Seconds from the newest observation to the read; null when there is none. */
export function secondsSinceLast<Name extends string>(
  source: Source<Name>,
): Aggregate<`${Name}_seconds_since_last`, true> {
  return aggregate(`${source.name}_seconds_since_last`, 'seconds_since_last', [slot('newest_time', source, null)])
}

/**
 * How many of `among`, in an unbroken run back from the newest, have one of `source` at the same time, such as logins
 * that failed. Time has the resolution of the hop: a tile belongs to the run when it holds as many of `source` as of
 * `among`.
 */
export function run<Name extends string>(source: Source<Name>, among: Source): Aggregate<`${Name}_run`, false> {
  return aggregate(`${source.name}_run`, 'run', [slot('count', source, null), slot('count', among, null)])
}

function aggregate<Name extends string, Nullable extends boolean>(
  name: Name,
  kind: AggregateKind,
  slots: readonly SlotDefinition[],
  position = 1,
): Aggregate<Name, Nullable> {
  // Each function above states `nullable` as the rule of its kind does.
  return { name, kind, nullable: aggregateRules[kind].nullable as Nullable, slots, position }
}

function slot(kind: SlotKind, source: Source, column: string | null, size = 0): SlotDefinition {
  if (column !== null && !source.numeric.includes(column) && kind !== 'distinct') {
    const what = source.text.includes(column) ? `${column} is a text: make it a category` : `it has no column ${column}`
    throw new Error(`source "${source.name}": ${kind.replaceAll('_', ' ')}: ${what}`)
  }
  return { kind, source: column === null ? source : withValue(source, column), column, size }
}
