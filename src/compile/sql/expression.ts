import { identifier } from '../../base/sql.ts'
import type { BinaryOperation, Expression, UnaryOperation } from '../../engine/expression.ts'
import type { FeatureSet } from '../../define/feature-set.ts'

/** The columns that an expression reads; each answers SQL of type DOUBLE. */
export interface ExpressionColumns {
  readonly feature: (name: string) => string
  /** A field of the scored event's data, a truth as 1 or 0, NULL where it is missing; `timeMs` is its time. */
  readonly request: (field: string) => string
}

/** The rows that derived features are computed for: `SELECT ${select} FROM ${from}`. */
export interface ExpressionRows {
  readonly select: string
  readonly from: string
}

/**
 * A SELECT of the rows with a column for every derived feature, named `derived <feature>`. A derived feature that reads
 * another reads the recomputed one; `columns.feature` answers aggregated features only. Each operation is computed once
 * for each row, by a subquery of its own level, over operands that are columns: the text grows with the number of
 * operations, however deep they are nested, and {@link presentSql} wraps every one of them.
 */
export function derivedSql(
  { derived }: Pick<FeatureSet, 'derived'>,
  columns: ExpressionColumns,
  rows: ExpressionRows,
): string {
  const steps = new Steps(columns)
  for (const { name, expression } of derived) steps.define(name, expression.tree)
  const results = derived.map(({ name }) => `${steps.feature(name).sql} AS ${derivedColumn(name)}`)
  return steps.select(rows, results)
}

export function derivedColumn(name: string): string {
  return identifier(`derived ${name}`)
}

/** What an operation reads: SQL that is a column or a constant, and the level of subqueries that computes it. */
interface Operand {
  readonly sql: string
  readonly level: number
}

class Steps {
  readonly #columns: ExpressionColumns
  /** By level, the columns that its SELECT adds. */
  readonly #levels: string[][] = []
  /** Operations computed already, by their SQL. */
  readonly #known = new Map<string, Operand>()
  readonly #derived = new Map<string, Operand>()

  constructor(columns: ExpressionColumns) {
    this.#columns = columns
  }

  define(name: string, tree: Expression): void {
    this.#derived.set(name, this.#operand(tree))
  }

  feature(name: string): Operand {
    return this.#derived.get(name) ?? this.#step(presentSql(this.#columns.feature(name)), 0)
  }

  /** Wraps the rows in one subquery per level; the outermost selects the results without the columns of the steps. */
  select(rows: ExpressionRows, results: readonly string[]): string {
    let { select, from } = rows
    for (const added of this.#levels) {
      if (added.length === 0) continue
      from = `(SELECT ${[select, ...added].join(',\n  ')}\nFROM ${from})`
      select = '*'
    }
    const steps = [...this.#known.values()].map(({ sql }) => sql)
    if (steps.length > 0) select = `* EXCLUDE (${steps.join(', ')})`
    return `SELECT ${[select, ...results].join(',\n  ')}\nFROM ${from}`
  }

  #operand(tree: Expression): Operand {
    switch (tree.op) {
      case 'feature':
        return this.feature(tree.name)
      case 'request':
        return this.#step(fieldSql(this.#columns.request(tree.field)), 0)
      case 'constant':
        return { sql: constantSql(tree.value), level: -1 }
      case 'coalesce':
        return this.#operation(tree.values, (...values) => `coalesce(${values.join(', ')})`)
      case 'floor':
      case 'square_root':
        return this.#operation([tree.value], unary[tree.op])
      default:
        return this.#operation([tree.left, tree.right], binary[tree.op])
    }
  }

  #operation(trees: readonly Expression[], sqlOf: (...operands: string[]) => string): Operand {
    const operands = trees.map((tree) => this.#operand(tree))
    // Inputs are level 0, so that an operation over constants alone is on level 1 like the others.
    const level = 1 + Math.max(0, ...operands.map((operand) => operand.level))
    return this.#step(sqlOf(...operands.map(({ sql }) => sql)), level)
  }

  #step(sql: string, level: number): Operand {
    const known = this.#known.get(sql)
    if (known !== undefined) return known
    const step = { sql: identifier(`derived step ${this.#known.size + 1}`), level }
    this.#known.set(sql, step)
    for (let missing = this.#levels.length; missing <= level; missing += 1) this.#levels.push([])
    this.#levels[level]?.push(`${sql} AS ${step.sql}`)
    return step
  }
}

/**
 * The one place that decides when SQL misses a value: what is not finite. NULL is missing already. DuckDB computes an
 * operation named twice here only once per row.
 */
function presentSql(value: string): string {
  return `CASE WHEN isfinite(${value}) THEN ${value} END`
}

/** Zero has one sign: a column of integers knows no other. */
function fieldSql(value: string): string {
  return `CASE WHEN ${value} = 0 THEN '0'::DOUBLE WHEN isfinite(${value}) THEN ${value} END`
}

/**
 * A literal would be a decimal first; DuckDB rounds text once. Writes −0 as 0: to DuckDB, 0 − a and −0 − a are one
 * common subexpression, since their constants are equal.
 */
function constantSql(value: number): string {
  return Number.isFinite(value) ? `'${String(value)}'::DOUBLE` : 'NULL::DOUBLE'
}

/** The same operations in the same order, on doubles, so that every bit is the same. */
const unary: Readonly<Record<UnaryOperation, (value: string) => string>> = {
  floor: (value) => presentSql(`floor(${value})`),
  // SQL refuses to take the root of a negative number.
  square_root: (value) => `CASE WHEN ${value} >= 0 THEN sqrt(${value}) END`,
}

const binary: Readonly<Record<BinaryOperation, (left: string, right: string) => string>> = {
  add: (left, right) => presentSql(`(${left} + ${right})`),
  subtract: (left, right) => presentSql(`(${left} - ${right})`),
  multiply: (left, right) => presentSql(`(${left} * ${right})`),
  ratio: (left, right) => presentSql(`(${left} / ${right})`),
  modulo: (left, right) => presentSql(`(${left} - ${right} * floor(${left} / ${right}))`),
  less: (left, right) => `(${left} < ${right})::INTEGER::DOUBLE`,
  less_or_equal: (left, right) => `(${left} <= ${right})::INTEGER::DOUBLE`,
  equal: (left, right) => `(${left} = ${right})::INTEGER::DOUBLE`,
}
