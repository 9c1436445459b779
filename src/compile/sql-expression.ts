import type { Expression } from '../core/expression.ts'
import type { FeatureSet } from '../define/feature-set.ts'
import { nameSql } from './sql-text.ts'

/** Where an expression finds what it reads; each answers SQL of type DOUBLE. */
export interface ExpressionColumns {
  readonly feature: (name: string) => string
  readonly request: (field: 'amountMinor' | 'timeMs') => string
}

/** SQL of a derived feature: the same operations in the same order, on doubles, so that every bit is the same. */
export function expressionSql(tree: Expression, columns: ExpressionColumns): string {
  const sql = (inner: Expression) => expressionSql(inner, columns)
  switch (tree.op) {
    case 'feature':
      return columns.feature(tree.name)
    case 'request':
      return columns.request(tree.field)
    case 'constant':
      // A literal would be a decimal first: text is rounded once.
      return `'${Object.is(tree.value, -0) ? '-0' : String(tree.value)}'::DOUBLE`
    case 'coalesce':
      return `coalesce(${tree.values.map(sql).join(', ')})`
    case 'floor':
      return `floor(${sql(tree.value)})`
    case 'square_root':
      return `CASE WHEN ${sql(tree.value)} >= 0 THEN sqrt(${sql(tree.value)}) END`
    default:
      return binarySql(tree.op, sql(tree.left), sql(tree.right))
  }
}

function binarySql(op: Extract<Expression, { left: Expression }>['op'], left: string, right: string): string {
  switch (op) {
    case 'add':
      return `(${left} + ${right})`
    case 'subtract':
      return `(${left} - ${right})`
    case 'multiply':
      return `(${left} * ${right})`
    case 'ratio':
      return `CASE WHEN ${right} <> 0 THEN ${left} / ${right} END`
    case 'modulo':
      return `CASE WHEN ${right} <> 0 THEN ${left} - ${right} * floor(${left} / ${right}) END`
    // To SQL a NaN is the largest number and equal to itself.
    case 'less':
      return `(${left} < ${right} AND NOT isnan(${right}))::INTEGER::DOUBLE`
    case 'less_or_equal':
      return `(${left} <= ${right} AND NOT isnan(${right}))::INTEGER::DOUBLE`
    case 'equal':
      return `(${left} = ${right} AND NOT isnan(${right}))::INTEGER::DOUBLE`
  }
}

/**
 * Columns for a SELECT: every derived feature, in the order of definition, under the name `derived <feature>`. One that
 * reads another reads the recomputed one. `feature` answers aggregated features only.
 */
export function derivedSql({ derived }: FeatureSet, columns: ExpressionColumns): readonly string[] {
  const names = new Set(derived.map(({ name }) => name))
  const feature = (name: string) => (names.has(name) ? derivedColumn(name) : columns.feature(name))
  return derived.map(({ name, expression }) => {
    return `${expressionSql(expression.tree, { ...columns, feature })} AS ${derivedColumn(name)}`
  })
}

export function derivedColumn(name: string): string {
  return nameSql(`derived ${name}`)
}
