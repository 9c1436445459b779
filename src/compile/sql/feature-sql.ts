import { identifier } from '../../base/sql.ts'
import { eventFieldsOf, timeField } from '../../engine/expression.ts'
import type { FeatureSet } from '../../define/feature-set.ts'
import { featureName, type View } from '../../define/view.ts'
import { isLabel, ownerFields } from '../labels.ts'
import { fieldOf } from '../slots.ts'
import { derivedColumn, derivedSql, type ExpressionColumns, type ExpressionRows } from './expression.ts'
import { entitySql, entriesSql, outcomesSql, type SqlRelations } from './sql.ts'
import { verdictsSql } from './labels.ts'

/** The SQL of a feature set, for callers that have history in tables and no definitions. */
export interface FeatureSql {
  /** Fields of an event's data that the definitions read. */
  readonly fields: readonly string[]
  /** Fields of a scored event's data that derived features read; not its time. */
  readonly eventFields: readonly string[]
  /** The relation that the other two may read instead of the entries, with `isPrepared`. */
  entries(entity: string, relations: SqlRelations): string
  features(entity: string, relations: SqlRelations): string
  outcomes(entity: string, relations: SqlRelations): string
  /** See {@link verdictsSql}; null where nothing is labelled. */
  verdicts(relations: Pick<SqlRelations, 'entries' | 'column'>): string | null
  /** The rows with a column `derived <feature>` for each derived feature, in the order of definition. */
  derived(columns: ExpressionColumns, rows: ExpressionRows): string
}

export function createFeatureSql(set: FeatureSet): FeatureSql {
  const slots = set.views.flatMap((view) => view.aggregates.flatMap((aggregate) => aggregate.slots))
  const fields = slots.flatMap(({ source, column }) => {
    const own = fieldOf(source, column)
    return [...(own === null ? [] : [own]), ...source.where.map(({ field }) => field)]
  })
  const ofLabels = set.events
    .filter(isLabel)
    .flatMap(({ label }) => [label.subjectField, ...ownerFields(set), ...Object.entries(label.repeats).flat()])
    .filter((field) => field !== 'time' && !set.events.some(({ timestampField }) => timestampField === field))
  return {
    fields: [...new Set([...fields, ...ofLabels])],
    eventFields: [...new Set(set.derived.flatMap(({ expression }) => eventFieldsOf(expression.tree)))].filter(
      (field) => field !== timeField,
    ),
    entries: (entity, relations) => entriesSql(set, entity, relations),
    features: (entity, relations) => entitySql(set, entity, relations),
    outcomes: (entity, relations) => outcomesSql(set, entity, relations),
    verdicts: (relations) => verdictsSql(set, relations),
    derived: (columns, rows) => derivedSql(set, columns, rows),
  }
}

/**
 * The SQL of one feature or view, for people: of a view's features over `history` (see {@link SqlRelations.entries}),
 * fields under their own names; of a derived feature over `features`, whose rows have the features it reads,
 * the fields of the event under their own names and its time as `"timeMs"`, all as DOUBLE.
 */
export function sqlOf(set: FeatureSet, name: string): string {
  const derived = set.derived.find((candidate) => candidate.name === name)
  if (derived !== undefined) {
    const columns = { feature: identifier, request: identifier }
    const sql = derivedSql({ derived: [derived] }, columns, { select: '*', from: 'features' })
    return `SELECT ${derivedColumn(name)} AS ${identifier(name)}\nFROM (${sql})`
  }
  for (const view of set.views) {
    const asked = view.name === name ? view : withOnly(view, name)
    if (asked !== null) return entitySql(set, view.entity.name, { entries: 'history', column: identifier }, [asked])
  }
  throw new Error(`there is no feature or view ${name}`)
}

function withOnly(view: View, name: string): View | null {
  for (const aggregate of view.aggregates) {
    const window = view.windows.find((candidate) => featureName(view.name, aggregate.name, candidate) === name)
    if (window !== undefined) return { ...view, aggregates: [aggregate], windows: [window] }
  }
  return null
}
