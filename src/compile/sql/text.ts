import { literal } from '../../base/sql.ts'
import type { Condition, Scalar, Source } from '../../define/source.ts'

/** ⌊ms ÷ hop⌋ of integers, below zero too: SQL's // truncates. */
export function tileSql(ms: string, hopMs: number): string {
  return `((${ms}) - ((${ms}) % ${hopMs} + ${hopMs}) % ${hopMs}) // ${hopMs}`
}

/** The observations of a source: its event type and all of its conditions. */
export function conditionSql({ eventType, where }: Source, column: (field: string) => string, prefix = ''): string {
  const conditions = where.map((condition) => comparisonSql(condition, `${prefix}${column(condition.field)}`))
  return [`${prefix}event_type = ${literal(eventType)}`, ...conditions].join(' AND ')
}

function comparisonSql({ is, value }: Condition, column: string): string {
  if (is === 'present') return `${column} IS NOT NULL`
  if (typeof value === 'object') return `${column} IN (${value.map(scalarSql).join(', ')})`
  const operator = is === '==' ? '=' : is === '!=' ? '<>' : is
  return `${column} ${operator} ${scalarSql(value)}`
}

export function scalarSql(value: Scalar): string {
  return typeof value === 'string' ? literal(value) : String(value)
}
