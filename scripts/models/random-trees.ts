import { branchModes, type TreeEnsemble } from '../../src/scoring/explain/tree-ensemble.ts'

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
  /** Few thresholds and values, so that they are often equal. */
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

/** A random vector for the ensemble; with `missing`, some elements are NaN. */
export function randomVector(shape: EnsembleShape, random: () => number, missing = 0): Float32Array {
  return Float32Array.from({ length: shape.width }, () => (random() < missing ? NaN : drawn(shape, random)))
}

function drawn({ coarse = false }: EnsembleShape, random: () => number): number {
  return coarse ? Math.floor(random() * 4) : random()
}
