import { literal } from '../../base/sql.ts'
import type { LakeSchema, ScoredColumns } from './lake-schema.ts'

/** The column of `scores` with the type of a score. A lake of one scored type has no such column. */
export const scoreType = 'event_type'

type Schema = Pick<LakeSchema, 'scored'>

/** SQL that picks each score's expression by its scored type. NULL for a type that is no longer defined. */
export function byScoredType({ scored }: Schema, said: (one: ScoredColumns) => string, row = ''): string {
  const [only, ...others] = scored
  if (only !== undefined && others.length === 0) return said(only)
  const cases = scored.map((one) => `WHEN ${literal(one.form.emits)} THEN ${said(one)}`)
  return `CASE ${row}${scoreType} ${cases.join(' ')} END`
}

/** Whether a row of scores is of this type. */
export function isOfType({ scored }: Schema, { form }: Pick<ScoredColumns, 'form'>, row = ''): string {
  return scored.length === 1 ? 'true' : `${row}${scoreType} = ${literal(form.emits)}`
}

/**
 * SQL for the type of all scores of a file without {@link scoreType}: one type was scored when it was written, and the
 * file has that type's columns.
 */
export function scoreTypeOfColumns({ scored }: Schema, columns: ReadonlySet<string>): string {
  const found = scored.find(({ id, timeMs }) => columns.has(id) && columns.has(timeMs))
  return found === undefined ? 'NULL' : literal(found.form.emits)
}
