import type { BinaryOperation, Expression, RequestValues } from '../../engine/expression.ts'

type Features = Readonly<Record<string, number | null>>

/**
 * The oracle of derived features: walks the tree anew for every row. Shares nothing with the compiled closures. A
 * missing operand makes every operation but `coalesce` missing; a result that is not finite is missing.
 */
export function referenceExpression(tree: Expression, features: Features, request: RequestValues): number | null {
  const answer = answerOf(tree, features, request)
  return answer === null || !Number.isFinite(answer) ? null : answer
}

function answerOf(tree: Expression, features: Features, request: RequestValues): number | null {
  const operand = (inner: Expression) => referenceExpression(inner, features, request)
  if (tree.op === 'feature') return features[tree.name] ?? null
  if (tree.op === 'request') return fieldOf(request[tree.field])
  if (tree.op === 'constant') return tree.value === 0 ? 0 : tree.value
  if (tree.op === 'coalesce') return tree.values.map(operand).find((value) => value !== null) ?? null
  if ('value' in tree) {
    const value = operand(tree.value)
    if (value === null) return null
    return tree.op === 'floor' ? Math.floor(value) : Math.sqrt(value)
  }
  const [left, right] = [operand(tree.left), operand(tree.right)]
  return left === null || right === null ? null : operate(tree.op, left, right)
}

/** A boolean is 1 or 0, what is neither number nor boolean is missing; there is one zero. */
function fieldOf(value: unknown): number | null {
  if (value === true) return 1
  if (value === false || value === 0) return 0
  return typeof value === 'number' ? value : null
}

function operate(op: BinaryOperation, left: number, right: number): number {
  switch (op) {
    case 'add':
      return left + right
    case 'subtract':
      return left - right
    case 'multiply':
      return left * right
    case 'ratio':
      return left / right
    case 'modulo':
      return left - right * Math.floor(left / right)
    case 'less':
      return left < right ? 1 : 0
    case 'less_or_equal':
      return left <= right ? 1 : 0
    case 'equal':
      return left === right ? 1 : 0
  }
}
