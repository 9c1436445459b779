import type { SlotUpdate } from '../engine/plan.ts'
import type { SlotDefinition } from '../define/aggregate.ts'
import { assert } from '../base/errors.ts'
import { isScalar, type Categories, type Condition, type Scalar } from '../define/source.ts'

/** Two aggregates that mean the same share a slot, whatever the names of their views and sources. */
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
    return categories === null ? valueOf(data[field]) : numberOf(categories, data[field])
  }
  if (where.length === 0) return read
  return (data) => (where.every((condition) => holds(condition, data[condition.field])) ? read(data) : null)
}

/** JSON can spell -0, which no integer column of SQL can hold. */
function valueOf(value: unknown): number | string {
  if (typeof value === 'number') return value + 0
  assert(typeof value === 'string', 'a column is a number or a text')
  return value
}

function numberOf(categories: Categories, value: unknown): number {
  return typeof value === 'string' || typeof value === 'boolean' ? categories.indexOf(value) : -1
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

function holds({ is, value: wanted }: Condition, value: unknown): boolean {
  if (!isScalar(value)) return value !== undefined && value !== null && is === 'present'
  if (is === 'among') return typeof wanted === 'object' && numberOf(wanted, value) >= 0
  return typeof wanted !== 'object' && comparisons[is](value, wanted)
}
