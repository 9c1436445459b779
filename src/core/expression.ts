/**
 * Expressions of derived features: a small typed tree that three interpreters read. Only operations that IEEE 754
 * rounds exactly are in it, so TypeScript and SQL agree bit for bit. `null` is "nothing to say", as in SQL: it goes
 * through every operation, except `coalesce`.
 */
export type Expression =
  | { readonly op: 'feature'; readonly name: string }
  | { readonly op: 'request'; readonly field: RequestField }
  | { readonly op: 'constant'; readonly value: number }
  | { readonly op: BinaryOperation; readonly left: Expression; readonly right: Expression }
  | { readonly op: UnaryOperation; readonly value: Expression }
  | { readonly op: 'coalesce'; readonly values: readonly Expression[] }

/**
 * `ratio` is left ÷ right, null where right is 0. `modulo` is left − right·⌊left ÷ right⌋, null where right is 0.
 * Comparisons answer 1 or 0.
 */
export type BinaryOperation = 'add' | 'subtract' | 'multiply' | 'ratio' | 'modulo' | 'less' | 'less_or_equal' | 'equal'
export type UnaryOperation = 'floor' | 'square_root'

/** What the payment itself says: its amount in minor units and its time in milliseconds UTC. */
export const requestFields = ['amountMinor', 'timeMs'] as const
export type RequestField = (typeof requestFields)[number]
export type RequestValues = Readonly<Record<RequestField, number>>

type Evaluate = (features: readonly (number | null)[], request: RequestValues) => number | null

/** Compiles to closures; `indexOf` says where a feature's value stands in the array given at run time. */
export function compileExpression(expression: Expression, indexOf: (name: string) => number): Evaluate {
  switch (expression.op) {
    case 'feature': {
      const index = indexOf(expression.name)
      return (features) => features[index] ?? null
    }
    case 'request': {
      const { field } = expression
      return (_features, request) => request[field]
    }
    case 'constant': {
      const { value } = expression
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
        return inner === null ? null : operation(inner)
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
        return b === null ? null : operation(a, b)
      }
    }
  }
}

const unary: Readonly<Record<UnaryOperation, (value: number) => number | null>> = {
  floor: Math.floor,
  square_root: (value) => (value < 0 ? null : Math.sqrt(value)),
}

const binary: Readonly<Record<BinaryOperation, (a: number, b: number) => number | null>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  ratio: (a, b) => (b === 0 ? null : a / b),
  modulo: (a, b) => (b === 0 ? null : a - b * Math.floor(a / b)),
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
