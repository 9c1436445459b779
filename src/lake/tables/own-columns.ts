import type { FieldKind } from '../../events/field-form.ts'
import type { Column } from '../../ports/tables.ts'
import { cellOf } from './field-kind.ts'
import type { LakeSchema, ScoredColumns } from './lake-schema.ts'
import type { ScoreRow } from './output-row.ts'
import type { ColumnSpec } from './table.ts'

/** A column that scores repeat of their events: by type of the score, the field of its data. */
export interface OwnColumn extends Column {
  readonly kind: FieldKind
  readonly holds: string
  readonly fields: Map<string, string>
}

/**
 * Columns for the id, the repeated fields and the time of scored events of any type; types that name them alike share
 * one.
 */
export function ownColumns(scored: readonly ScoredColumns[]): readonly OwnColumn[] {
  const columns = new Map<string, OwnColumn>()
  const add = ({ form }: ScoredColumns, column: Omit<OwnColumn, 'fields'>, field: string) => {
    const known = columns.get(column.name) ?? { ...column, fields: new Map<string, string>() }
    if (known.type !== column.type || known.fields.has(form.emits)) {
      throw new Error(
        `event type "${form.eventType}": the column ${column.name} of scores would hold both ${known.holds} and ${column.holds}`,
      )
    }
    known.fields.set(form.emits, field)
    columns.set(column.name, known)
  }
  for (const one of scored) {
    const { form, id, repeats, time, timeMs } = one
    const { eventType } = form
    const timed = { kind: 'integer', holds: `the time of ${eventType}` } as const
    add(one, { name: id, type: 'VARCHAR', kind: 'text', holds: `the id of ${eventType}` }, form.idField)
    for (const { name, type, kind, field } of repeats) {
      add(one, { name, type, kind, holds: `the field ${field} of ${eventType}` }, field)
    }
    add(one, { name: time, type: 'TIMESTAMP', ...timed }, form.timeField)
    add(one, { name: timeMs, type: 'BIGINT', ...timed }, form.timeField)
  }
  return [...columns.values()]
}

/** For a lake of one scored type: every score fills all of its columns. */
export function onlyColumnSpec({ name, type, kind, holds, fields }: OwnColumn): ColumnSpec<ScoreRow> {
  const [field = ''] = fields.values()
  return { name, type, holds, read: ({ data }) => cellOf(kind, data[field]) }
}

/** A score that does not repeat the id of an entity has it beside the entity's sequence number. */
export function typedColumnSpec(
  { name, type, kind, holds, fields }: OwnColumn,
  ofEntity: string | null,
): ColumnSpec<ScoreRow> {
  return {
    ...{ name, type, holds },
    read: ({ envelope, data }) => {
      const field = fields.get(envelope.type)
      if (field !== undefined) return cellOf(kind, data[field])
      return ofEntity === null ? null : (data.entities[ofEntity]?.id ?? null)
    },
  }
}

/** Columns that no score of this type fills, without those of the entities. */
export function foreignColumns(
  { manifest, scored }: Pick<LakeSchema, 'manifest' | 'scored'>,
  of: ScoredColumns,
): string[] {
  const ofEntities = new Set(manifest.entities.map(({ name }) => `${name}_id`))
  return ownColumns(scored).flatMap(({ name, fields }) =>
    fields.has(of.form.emits) || ofEntities.has(name) ? [] : [name],
  )
}
