import type { SlotUpdate } from '../engine/plan.ts'
import type { SlotDefinition } from '../define/aggregate.ts'
import type { Categories, Condition, Scalar } from '../define/source.ts'

/** Two aggregates that mean the same share a slot, whatever their views and sources are called. */
export function slotId({ kind, source, column, size }: SlotDefinition): string {
  const where = source.where.map(({ field: name, is, value }) => [name, is, value])
  return JSON.stringify([kind, source.eventType, fieldOf(source, column), where, ...(size === 0 ? [] : [size])])
}

export function fieldOf({ columns }: SlotDefinition['source'], column: string | null): string | null {
  return column === null ? null : (columns[column] ?? null)
}

/** Null for a column that is no category: see `category`. */
export function categoriesOf({ categories }: SlotDefinition['source'], column: string | null): Categories | null {
  return column === null ? null : (categories[column] ?? null)
}

/** Reads the value to add from an event's data; null when a condition does not hold. Slots without a column add 1. */
export function slotValue({ source, column }: SlotDefinition): SlotUpdate['value'] {
  const field = fieldOf(source, column)
  const { where } = source
  const categories = categoriesOf(source, column)
  const read = (data: Readonly<Record<string, unknown>>) => {
    if (field === null) return 1
    return categories === null ? valueOf(data[field]) : categories.indexOf(data[field] as string | boolean)
  }
  if (where.length === 0) return read
  return (data) => (where.every((condition) => holds(condition, data[condition.field])) ? read(data) : null)
}

/** JSON can spell -0, which no integer column of SQL can hold. */
function valueOf(value: unknown): number | string {
  return typeof value === 'number' ? value + 0 : (value as string)
}

const comparisons: Readonly<Record<Exclude<Condition['is'], 'among'>, (a: Scalar, b: Scalar) => boolean>> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  present: () => true,
}

function holds(condition: Condition, value: unknown): boolean {
  if (value === undefined || value === null) return false
  if (condition.is === 'among') return (condition.value as Categories).includes(value as string | boolean)
  return comparisons[condition.is](value as Scalar, condition.value as Scalar)
}
