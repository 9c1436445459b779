import type { AggregateKind, SlotKind } from '../core/aggregates.ts'
import type { Source } from './source.ts'

export interface SlotDefinition {
  readonly kind: SlotKind
  readonly source: Source
  /** A column of the source; null for a count. */
  readonly column: string | null
}

/** `name` is what the aggregate adds to a feature's name: column and aggregate, such as `amount_sum`. */
export interface Aggregate<Name extends string = string, Nullable extends boolean = boolean> {
  readonly name: Name
  readonly kind: AggregateKind
  readonly nullable: Nullable
  readonly slots: readonly SlotDefinition[]
}

/** How many observations. */
export function count<Name extends string>(source: Source<Name>): Aggregate<`${Name}_count`, false> {
  return { name: `${source.name}_count`, kind: 'count', nullable: false, slots: [countSlot(source)] }
}

/** The exact sum of an integer column; 0 when there is nothing. */
export function sum<Column extends string, Name extends Column>(
  source: Source<string, Column>,
  column: Name,
): Aggregate<`${Name}_sum`, false> {
  return { name: `${column}_sum`, kind: 'sum', nullable: false, slots: [{ kind: 'sum', source, column }] }
}

/** sum ÷ count, one rounding; null when there is nothing. */
export function mean<Column extends string, Name extends Column>(
  source: Source<string, Column>,
  column: Name,
): Aggregate<`${Name}_mean`, true> {
  const slots: SlotDefinition[] = [{ kind: 'sum', source, column }, countSlot(source)]
  return { name: `${column}_mean`, kind: 'mean', nullable: true, slots }
}

/** How many of `source` for each of `among`; null when there is none of `among`. */
export function rate<Name extends string>(source: Source<Name>, among: Source): Aggregate<`${Name}_rate`, true> {
  return { name: `${source.name}_rate`, kind: 'rate', nullable: true, slots: [countSlot(source), countSlot(among)] }
}

function countSlot(source: Source): SlotDefinition {
  return { kind: 'count', source, column: null }
}
