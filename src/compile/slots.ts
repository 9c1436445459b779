import type { SlotUpdate } from '../engine/plan.ts'
import type { SlotDefinition } from '../define/aggregate.ts'
import type { Comparison, Condition } from '../define/source.ts'

/** Two aggregates that mean the same share a slot, whatever their views and sources are called. */
export function slotId({ kind, source, column, size }: SlotDefinition): string {
  const where = source.where.map(({ field: name, is, value }) => [name, is, value])
  return JSON.stringify([kind, source.eventType, fieldOf(source, column), where, ...(size === 0 ? [] : [size])])
}

export function fieldOf({ columns }: SlotDefinition['source'], column: string | null): string | null {
  return column === null ? null : (columns[column] ?? null)
}

/** Reads the value to add from an event's data; null when a condition does not hold. Slots without a column add 1. */
export function slotValue({ source, column }: SlotDefinition): SlotUpdate['value'] {
  const field = fieldOf(source, column)
  const { where } = source
  const read = (data: Readonly<Record<string, unknown>>) => (field === null ? 1 : valueOf(data[field]))
  if (where.length === 0) return read
  return (data) => (where.every((condition) => holds(condition, data[condition.field])) ? read(data) : null)
}

/** JSON can spell -0, which no integer column of SQL can hold. */
function valueOf(value: unknown): number | string {
  return typeof value === 'number' ? value + 0 : (value as string)
}

type Scalar = Condition['value']
const comparisons: Readonly<Record<Comparison, (a: Scalar, b: Scalar) => boolean>> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
}

function holds(condition: Condition, value: unknown): boolean {
  return value !== undefined && value !== null && comparisons[condition.is](value as Scalar, condition.value)
}
