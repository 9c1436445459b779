import { holds, type TreeEnsemble } from '../../../../src/scoring/explain/tree-ensemble.ts'

/**
 * What the ensemble answers when only the features in `known` are: Algorithm 1 of Lundberg, Erion and Lee 2018
 * (EXPVALUE), word by word.
 */
export function expectedValue(ensemble: TreeEnsemble, vector: Float32Array, known: ReadonlySet<number>): number {
  const { starts, parent, whereTrue, feature, mode, threshold, missingTrue, value, cover } = ensemble
  const children = new Map<number, { yes: number; no: number }>()
  for (const [node, above] of parent.entries()) {
    if (above < 0) continue
    const both = children.get(above) ?? { yes: -1, no: -1 }
    children.set(above, whereTrue[node] === 1 ? { ...both, yes: node } : { ...both, no: node })
  }
  const at = (list: ArrayLike<number>, node: number) => list[node] ?? NaN
  const answer = (node: number): number => {
    const both = children.get(node)
    if (both === undefined) return at(value, node)
    const element = at(feature, node)
    if (known.has(element)) {
      const isHeld = holds(at(mode, node), at(vector, element), at(threshold, node), at(missingTrue, node))
      return answer(isHeld ? both.yes : both.no)
    }
    return [both.yes, both.no].reduce((sum, child) => {
      const share = at(cover, child) / at(cover, node)
      return share === 0 ? sum : sum + share * answer(child)
    }, 0)
  }
  return [...starts.subarray(0, -1)].reduce((sum, root) => sum + answer(root), ensemble.base)
}

/** Shapley values by their definition: the mean over all orders in which features become known. Exponential. */
export function shapleyValues(ensemble: TreeEnsemble, vector: Float32Array): number[] {
  const { width } = ensemble
  const answers = Array.from({ length: 2 ** width }, (_, set) => {
    const known = new Set(Array.from({ length: width }, (_unused, i) => i).filter((i) => (set >> i) % 2 === 1))
    return expectedValue(ensemble, vector, known)
  })
  const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1))
  return Array.from({ length: width }, (_, i) => {
    let sum = 0
    for (const [set, without] of answers.entries()) {
      if ((set >> i) % 2 === 1) continue
      const size = set.toString(2).replaceAll('0', '').length
      const weight = (factorial(size) * factorial(width - size - 1)) / factorial(width)
      sum += weight * ((answers[set + 2 ** i] ?? NaN) - without)
    }
    return sum
  })
}
