import type { FeatureSet } from '../define/feature-set.ts'
import { fieldOf } from './slots.ts'
import { derivedSql, type ExpressionColumns } from './sql-expression.ts'
import { entitySql, outcomesSql, type SqlRelations } from './sql.ts'

/** The SQL of a feature set, for whoever has history in tables and no definitions. */
export interface FeatureSql {
  /** Fields of an event's data that the definitions look at. */
  readonly fields: readonly string[]
  features(entity: string, relations: SqlRelations): string
  outcomes(entity: string, relations: SqlRelations): string
  /** Columns for a SELECT, `derived <feature>` each, in the order of definition. */
  derived(columns: ExpressionColumns): readonly string[]
}

export function createFeatureSql(set: FeatureSet): FeatureSql {
  const slots = set.views.flatMap((view) => view.aggregates.flatMap((aggregate) => aggregate.slots))
  const fields = slots.flatMap(({ source, column }) => {
    const own = fieldOf(source, column)
    return [...(own === null ? [] : [own]), ...source.where.map(({ field }) => field)]
  })
  return {
    fields: [...new Set(fields)],
    features: (entity, relations) => entitySql(set, entity, relations),
    outcomes: (entity, relations) => outcomesSql(set, entity, relations),
    derived: (columns) => derivedSql(set, columns),
  }
}
