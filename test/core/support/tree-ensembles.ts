import { branchModes, holds, type TreeEnsemble } from '../../../src/core/tree-ensemble.ts'

/** Numbers in [0, 1) that depend on the seed alone (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface EnsembleShape {
  readonly trees: number
  readonly depth: number
  readonly width: number
  /** Chance that a node above the depth is a leaf; 0 makes full trees. */
  readonly stops?: number
  /** Thresholds and values are few, so that they are often equal. */
  readonly coarse?: boolean
  /** Otherwise all are BRANCH_LT. */
  readonly anyMode?: boolean
  /** Chance that no training data came down an edge. */
  readonly empty?: number
}

/** Trees with random splits, features repeated on a path, uneven covers. */
export function randomEnsemble(shape: EnsembleShape, random: () => number): TreeEnsemble {
  const nodes: Record<
    'parent' | 'whereTrue' | 'feature' | 'mode' | 'threshold' | 'missing' | 'value' | 'cover',
    number[]
  > = { parent: [], whereTrue: [], feature: [], mode: [], threshold: [], missing: [], value: [], cover: [] }
  const starts = [0]
  const below = (parent: number, whereTrue: number, depth: number, cover: number): void => {
    const at = nodes.parent.length
    const isLeaf = depth === shape.depth || cover === 0 || (parent >= 0 && random() < (shape.stops ?? 0))
    nodes.parent.push(parent)
    nodes.whereTrue.push(whereTrue)
    nodes.feature.push(isLeaf ? -1 : Math.floor(random() * shape.width))
    nodes.mode.push(shape.anyMode === true ? Math.floor(random() * branchModes.length) : 1)
    nodes.threshold.push(Math.fround(drawn(shape, random)))
    nodes.missing.push(random() < 0.5 ? 1 : 0)
    nodes.value.push(isLeaf ? random() * 2 - 1 : 0)
    nodes.cover.push(cover)
    if (isLeaf) return
    const share = random() < (shape.empty ?? 0) ? 0 : 0.02 + 0.96 * random()
    below(at, 1, depth + 1, cover * share)
    below(at, 0, depth + 1, cover * (1 - share))
  }
  for (let tree = 0; tree < shape.trees; tree += 1) {
    below(-1, 0, 0, 1_000)
    starts.push(nodes.parent.length)
  }
  return {
    width: shape.width,
    base: random() - 3,
    starts: Int32Array.from(starts),
    parent: Int32Array.from(nodes.parent),
    whereTrue: Uint8Array.from(nodes.whereTrue),
    feature: Int32Array.from(nodes.feature),
    mode: Uint8Array.from(nodes.mode),
    threshold: Float32Array.from(nodes.threshold),
    missingTrue: Uint8Array.from(nodes.missing),
    value: Float64Array.from(nodes.value),
    cover: Float64Array.from(nodes.cover),
  }
}

/** A vector that the ensemble may be asked about; with `missing`, some elements are NaN. */
export function randomVector(shape: EnsembleShape, random: () => number, missing = 0): Float32Array {
  return Float32Array.from({ length: shape.width }, () => (random() < missing ? NaN : drawn(shape, random)))
}

function drawn({ coarse = false }: EnsembleShape, random: () => number): number {
  return coarse ? Math.floor(random() * 4) : random()
}

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
