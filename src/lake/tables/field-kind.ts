import type { FieldKind } from '../../events/field-form.ts'
import type { ColumnType } from '../../ports/tables.ts'

export const columnTypes: Readonly<Record<FieldKind, ColumnType>> = {
  text: 'VARCHAR',
  integer: 'BIGINT',
  number: 'DOUBLE',
  boolean: 'BOOLEAN',
  JSON: 'VARCHAR',
}

/** Null for a missing value and for one of another kind: a column has one type. */
export function cellOf(kind: FieldKind, value: unknown): string | number | boolean | null {
  if (value === undefined || value === null) return null
  switch (kind) {
    case 'text':
      return typeof value === 'string' ? value : null
    case 'integer':
      return typeof value === 'number' && Number.isSafeInteger(value) ? value : null
    case 'number':
      return typeof value === 'number' && Number.isFinite(value) ? value : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    case 'JSON':
      return JSON.stringify(value)
  }
}

type LakeValue = string | number | bigint | boolean | Uint8Array | null | undefined

/** The value of a cell, undefined for NULL: the opposite of {@link cellOf}. Numbers may be bigints. */
export function valueOf(kind: FieldKind, cell: LakeValue): unknown {
  if (cell === undefined || cell === null) return undefined
  if (kind === 'JSON') return typeof cell === 'string' ? parsed(cell) : undefined
  if (kind === 'integer' || kind === 'number') return Number(cell)
  return kind === 'boolean' ? cell === true || cell === 1 : cell
}

function parsed(text: string): unknown {
  return JSON.parse(text)
}
