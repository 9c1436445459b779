import type { Expression } from '../core/expression.ts'

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
    case 'less':
      return `(${left} < ${right})::INTEGER::DOUBLE`
    case 'less_or_equal':
      return `(${left} <= ${right})::INTEGER::DOUBLE`
    case 'equal':
      return `(${left} = ${right})::INTEGER::DOUBLE`
  }
}
