/**
 * Expressions of derived features: a small typed tree that three interpreters read. Only operations that IEEE 754
 * rounds exactly are in it, so TypeScript and SQL agree bit for bit. Every node has a finite number or is missing
 * (`null`), by one rule: a node is missing where an operand is missing or where IEEE 754 does not answer a finite
 * number. A quotient by 0, a root of a negative number and an overflow are cases of that rule, so no infinity and no
 * NaN reaches another operation. `coalesce` alone takes missing operands. docs/expressions.md has the table.
 */
export type Expression =
  | { readonly op: 'feature'; readonly name: string }
  /** A field of the scored event, 1 or 0 where it is true or false; `timeMs` is the time at which it was observed. */
  | { readonly op: 'request'; readonly field: string }
  | { readonly op: 'constant'; readonly value: number }
  | { readonly op: BinaryOperation; readonly left: Expression; readonly right: Expression }
  | { readonly op: UnaryOperation; readonly value: Expression }
  | { readonly op: 'coalesce'; readonly values: readonly Expression[] }

/** `ratio` is left ÷ right. `modulo` is left − right·⌊left ÷ right⌋. Comparisons answer 1 or 0. */
export type BinaryOperation = 'add' | 'subtract' | 'multiply' | 'ratio' | 'modulo' | 'less' | 'less_or_equal' | 'equal'
export type UnaryOperation = 'floor' | 'square_root'

/** The field that is the time of the scored event, in milliseconds UTC; all others are fields of its data. */
export const timeField = 'timeMs'
/** The data of the scored event, with its {@link timeField} where no time is given beside it. */
export type RequestValues = Readonly<Record<string, unknown>>

type Evaluate = (features: readonly (number | null)[], request: RequestValues, timeMs?: number) => number | null

/** The one place that says when the engine misses a value: what is not finite is missing. */
function present(value: number): number | null {
  // False for NaN and both infinities, and cheaper than Number.isFinite.
  return value - value === 0 ? value : null
}

/** A truth is 1 or 0, a text or a list is no number. −0 is read as 0: a column of integers has no other. */
function presentField(value: unknown): number | null {
  if (typeof value === 'number') return present(value + 0)
  return typeof value === 'boolean' ? Number(value) : null
}

/** Compiles to closures; `indexOf` says where a feature's value stands in the array given at run time. */
export function compileExpression(expression: Expression, indexOf: (name: string) => number): Evaluate {
  switch (expression.op) {
    case 'feature': {
      const index = indexOf(expression.name)
      return (features) => {
        const value = features[index] ?? null
        return value === null ? null : present(value)
      }
    }
    case 'request': {
      const { field } = expression
      if (field === timeField) return (_features, request, timeMs) => presentField(timeMs ?? request[timeField])
      return (_features, request) => presentField(request[field])
    }
    case 'constant': {
      // −0 is read as 0: DuckDB takes constants that are equal for the same one.
      const value = present(expression.value + 0)
      return () => value
    }
    case 'coalesce': {
      const values = expression.values.map((value) => compileExpression(value, indexOf))
      return (features, request, timeMs) => {
        for (const value of values) {
          const found = value(features, request, timeMs)
          if (found !== null) return found
        }
        return null
      }
    }
    case 'floor':
    case 'square_root': {
      const operation = unary[expression.op]
      const value = compileExpression(expression.value, indexOf)
      return (features, request, timeMs) => {
        const inner = value(features, request, timeMs)
        return inner === null ? null : present(operation(inner))
      }
    }
    default: {
      const operation = binary[expression.op]
      const left = compileExpression(expression.left, indexOf)
      const right = compileExpression(expression.right, indexOf)
      return (features, request, timeMs) => {
        const a = left(features, request, timeMs)
        if (a === null) return null
        const b = right(features, request, timeMs)
        return b === null ? null : present(operation(a, b))
      }
    }
  }
}

/** As IEEE 754 computes; {@link present} decides what of it is a value. */
const unary: Readonly<Record<UnaryOperation, (value: number) => number>> = {
  floor: Math.floor,
  square_root: Math.sqrt,
}

const binary: Readonly<Record<BinaryOperation, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  ratio: (a, b) => a / b,
  modulo: (a, b) => a - b * Math.floor(a / b),
  less: (a, b) => (a < b ? 1 : 0),
  less_or_equal: (a, b) => (a <= b ? 1 : 0),
  equal: (a, b) => (a === b ? 1 : 0),
}

/** Every feature that the expression reads. */
export function featuresOf(expression: Expression): string[] {
  switch (expression.op) {
    case 'feature':
      return [expression.name]
    case 'request':
    case 'constant':
      return []
    case 'coalesce':
      return expression.values.flatMap(featuresOf)
    case 'floor':
    case 'square_root':
      return featuresOf(expression.value)
    default:
      return [...featuresOf(expression.left), ...featuresOf(expression.right)]
  }
}

/** Every field of the scored event that the expression reads itself. */
export function eventFieldsOf(expression: Expression): string[] {
  switch (expression.op) {
    case 'request':
      return [expression.field]
    case 'feature':
    case 'constant':
      return []
    case 'coalesce':
      return expression.values.flatMap(eventFieldsOf)
    case 'floor':
    case 'square_root':
      return eventFieldsOf(expression.value)
    default:
      return [...eventFieldsOf(expression.left), ...eventFieldsOf(expression.right)]
  }
}
