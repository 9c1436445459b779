/**
 * Expressions of derived features: a small typed tree that three interpreters read. Only operations that IEEE 754
 * rounds exactly are in it, so TypeScript and SQL agree bit for bit. Every node has a finite number or is missing
 * (`null`), by one rule: a node is missing where an operand is missing or where IEEE 754 does not answer a finite
 * number. A quotient by 0, a root of a negative number and an overflow are cases of that rule, so no infinity and no NaN
 * reaches another operation. `coalesce` alone takes missing operands. docs/expressions.md has the table.
 */
export type Expression =
  | { readonly op: 'feature'; readonly name: string }
  | { readonly op: 'request'; readonly field: RequestField }
  | { readonly op: 'constant'; readonly value: number }
  | { readonly op: BinaryOperation; readonly left: Expression; readonly right: Expression }
  | { readonly op: UnaryOperation; readonly value: Expression }
  | { readonly op: 'coalesce'; readonly values: readonly Expression[] }

/** `ratio` is left ÷ right. `modulo` is left − right·⌊left ÷ right⌋. Comparisons answer 1 or 0. */
export type BinaryOperation = 'add' | 'subtract' | 'multiply' | 'ratio' | 'modulo' | 'less' | 'less_or_equal' | 'equal'
export type UnaryOperation = 'floor' | 'square_root'

/** What the payment itself says: its amount in minor units and its time in milliseconds UTC. */
export const requestFields = ['amountMinor', 'timeMs'] as const
export type RequestField = (typeof requestFields)[number]
export type RequestValues = Readonly<Record<RequestField, number>>

type Evaluate = (features: readonly (number | null)[], request: RequestValues) => number | null

/** The one place that says when the engine misses a value: what is not finite is missing. */
function present(value: number): number | null {
  // False for NaN and both infinities, and cheaper than Number.isFinite.
  return value - value === 0 ? value : null
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
      return (_features, request) => present(request[field])
    }
    case 'constant': {
      // −0 is read as 0: DuckDB takes constants that are equal for the same one.
      const value = present(expression.value + 0)
      return () => value
    }
    case 'coalesce': {
      const values = expression.values.map((value) => compileExpression(value, indexOf))
      return (features, request) => {
        for (const value of values) {
          const found = value(features, request)
          if (found !== null) return found
        }
        return null
      }
    }
    case 'floor':
    case 'square_root': {
      const operation = unary[expression.op]
      const value = compileExpression(expression.value, indexOf)
      return (features, request) => {
        const inner = value(features, request)
        return inner === null ? null : present(operation(inner))
      }
    }
    default: {
      const operation = binary[expression.op]
      const left = compileExpression(expression.left, indexOf)
      const right = compileExpression(expression.right, indexOf)
      return (features, request) => {
        const a = left(features, request)
        if (a === null) return null
        const b = right(features, request)
        return b === null ? null : present(operation(a, b))
      }
    }
  }
}

/** As IEEE 754 says; {@link present} says what of it is a value. */
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

/** Whether the expression reads what only the request says, itself or through one of these features. */
export function readsRequest(expression: Expression, through: ReadonlySet<string>): boolean {
  switch (expression.op) {
    case 'feature':
      return through.has(expression.name)
    case 'request':
      return true
    case 'constant':
      return false
    case 'coalesce':
      return expression.values.some((value) => readsRequest(value, through))
    case 'floor':
    case 'square_root':
      return readsRequest(expression.value, through)
    default:
      return readsRequest(expression.left, through) || readsRequest(expression.right, through)
  }
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
