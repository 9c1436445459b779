import type { Expression, RequestValues } from '../core/expression.ts'

/** The oracle of derived features: walks the tree anew for every row. Shares nothing with the compiled closures. */
export function referenceExpression(
  tree: Expression,
  features: Readonly<Record<string, number | null>>,
  request: RequestValues,
): number | null {
  const walk = (inner: Expression) => referenceExpression(inner, features, request)
  if (tree.op === 'feature') return features[tree.name] ?? null
  if (tree.op === 'request') return request[tree.field]
  if (tree.op === 'constant') return tree.value
  if (tree.op === 'coalesce') return tree.values.map(walk).find((value) => value !== null) ?? null
  if ('value' in tree) {
    const value = walk(tree.value)
    if (value === null) return null
    if (tree.op === 'floor') return Math.floor(value)
    return value < 0 ? null : Math.sqrt(value)
  }
  const { op } = tree
  const [left, right] = [walk(tree.left), walk(tree.right)]
  if (left === null || right === null) return null
  switch (op) {
    case 'add':
      return left + right
    case 'subtract':
      return left - right
    case 'multiply':
      return left * right
    case 'ratio':
      return right === 0 ? null : left / right
    case 'modulo':
      return right === 0 ? null : left - right * Math.floor(left / right)
    case 'less':
      return left < right ? 1 : 0
    case 'less_or_equal':
      return left <= right ? 1 : 0
    case 'equal':
      return left === right ? 1 : 0
  }
}
