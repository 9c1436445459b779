import { windowMs } from '../../base/units.ts'
import type { Aggregate, SlotDefinition } from '../../define/aggregate.ts'
import type { View } from '../../define/view.ts'
import { categoriesOf, fieldOf, slotId } from '../slots.ts'
import { scalarSql } from './text.ts'

/** The views of one hop and delay; their windows end at the same tile. */
export interface ReadGroup {
  readonly name: string
  readonly hopMs: number
  readonly delayMs: number
  /** Ascending; a lifetime is infinite and last. */
  readonly windowsMs: readonly number[]
  readonly views: readonly View[]
}

export type ColumnOf = (field: string) => string

export function longestOf({ windowsMs }: ReadGroup): number {
  return windowsMs.at(-1) ?? 0
}

export function slotsOf(view: Pick<View, 'aggregates'>): readonly SlotDefinition[] {
  return view.aggregates.flatMap((aggregate) => aggregate.slots)
}

interface Cell {
  readonly slot: SlotDefinition
  readonly window: number
}

/** Every slot of every window, each once, by the name of its column. Runs have columns of their own. */
export function cellsOf(group: ReadGroup): ReadonlyMap<string, Cell> {
  const cells = new Map<string, Cell>()
  for (const view of group.views) {
    for (const { kind, slots } of view.aggregates) {
      if (kind === 'run') continue
      for (const slot of slots) {
        for (const window of view.windows)
          cells.set(cellName(group, slot, windowMs(window)), { slot, window: windowMs(window) })
      }
    }
  }
  return cells
}

export function cellName(group: ReadGroup, slot: SlotDefinition, window: number): string {
  const ids = [...new Set(group.views.flatMap(slotsOf).map(slotId))]
  return `${group.name}_s${ids.indexOf(slotId(slot))}_w${group.windowsMs.indexOf(window)}`
}

export function runCell(group: ReadGroup, view: View, aggregate: Aggregate, window: number): string {
  return `${group.name}_${view.name}_${aggregate.name}_w${group.windowsMs.indexOf(window)}`
}

/** What an observation adds to a slot; NULL also for a value that its category does not list. */
export function valueSql({ source, column: name }: SlotDefinition, column: ColumnOf, prefix = ''): string {
  const field = fieldOf(source, name)
  if (field === null) return '1'
  const categories = categoriesOf(source, name)
  if (categories === null) return `${prefix}${column(field)}`
  const cases = categories.map((value, number) => `WHEN ${scalarSql(value)} THEN ${number}`)
  return `(CASE ${prefix}${column(field)} ${cases.join(' ')} END)::BIGINT`
}

/** SQL of a slot over the observations of `scope`: a filter, and for window functions a frame. */
export function cellSql(slot: SlotDefinition, column: ColumnOf, prefix: string, scope: string): string {
  const value = valueSql(slot, column, prefix)
  switch (slot.kind) {
    case 'count':
      return `count(${prefix}sequence) ${scope}`
    case 'sum':
      return `coalesce(sum(${value}) ${scope}, 0)::BIGINT`
    case 'square_sum':
      return `coalesce(sum(${value}::HUGEINT * ${value}) ${scope}, 0)::HUGEINT`
    case 'min':
      return `min(${value}) ${scope}`
    case 'max':
      return `max(${value}) ${scope}`
    case 'oldest_time':
      return `min(${prefix}time_ms) ${scope}`
    case 'newest_time':
      return `max(${prefix}time_ms) ${scope}`
    case 'oldest':
      return `min_by(${value}, ${prefix}moment, ${slot.size}) ${scope}`
    case 'newest':
      return `max_by(${value}, ${prefix}moment, ${slot.size}) ${scope}`
    case 'distinct':
      return `least(count(DISTINCT ${value}) ${scope}, ${slot.size})`
  }
}
