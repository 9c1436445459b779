import type { Expression, RequestValues } from '../core/expression.ts'

/** The oracle of derived features: walks the tree anew for every row. Shares nothing with the compiled closures. */
export function referenceExpression(
  tree: Expression,
  features: Readonly<Record<string, number | null>>,
  request: RequestValues,
): number | null {
  if (tree.op === 'feature') return features[tree.name] ?? null
  if (tree.op === 'request') return request[tree.field]
  if (tree.op === 'constant') return tree.value
  if (tree.op === 'coalesce') {
    for (const inner of tree.values) {
      const value = referenceExpression(inner, features, request)
      if (value !== null) return value
    }
    return null
  }
  if ('value' in tree) {
    const value = referenceExpression(tree.value, features, request)
    if (value === null) return null
    if (tree.op === 'floor') return Math.floor(value)
    return value < 0 ? null : Math.sqrt(value)
  }
  const { op } = tree
  const left = referenceExpression(tree.left, features, request)
  const right = referenceExpression(tree.right, features, request)
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
