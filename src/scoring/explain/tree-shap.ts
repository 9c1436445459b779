import { doubleAt, intAt } from '../../base/arrays.ts'
import { assert } from '../../base/errors.ts'
import { holds, shareOf, type TreeEnsemble } from './tree-ensemble.ts'
import { block, lanes, splitsOf, splitStates, type TreeSplits } from './tree-splits.ts'

/** Exact SHAP values of one ensemble. Calls may not overlap: they share their memory. */
export interface TreeShap {
  /** What the model answers on average over its training data, in log odds. */
  readonly base: number
  /**
   * One contribution per element of the vector; base and contributions add up to the log odds of the score. The answer
   * is overwritten by the next call.
   */
  contributions(vector: Float32Array): Float64Array
}

/**
 * Path-dependent TreeSHAP: the Shapley values of the game that Lundberg, Erion and Lee 2018 (arXiv:1802.03888) define,
 * where a tree that knows some elements answers with the mean over the branches of the others, weighted by cover. Not
 * by their Algorithm 2, but by an integral (Owen 1972; for trees Wettenstein, Mitchell and Yu 2026, arXiv:2605.04497):
 * when every other element is known with chance y, a leaf is reached with probability Π ((1 − y)·z + y·o), and the mean
 * over all y weighs the sets of known elements as Shapley does. Of k elements on a path that is a polynomial of degree
 * k − 1 in y, and ⌈k ÷ 2⌉ points of Gauss-Legendre integrate it exactly. An element's part of that product is one
 * factor for all leaves below an edge: one walk down, one walk up, a few multiplications per split and point. Products
 * and sums have no small differences of large numbers, at any depth.
 */
export function createTreeShap(ensemble: TreeEnsemble): TreeShap {
  const splits = splitsOf(ensemble)
  const { starts, groups } = splits
  const largest = starts.reduce((most, start, i) => Math.max(most, start - (starts[i - 1] ?? start)), 0)
  const walk: Walk = {
    state: new Uint8Array(largest),
    reach: new Float64Array(largest * lanes),
    sums: new Float64Array(largest * lanes),
  }
  const contributions = new Float64Array(ensemble.width)
  return {
    base: baseOf(ensemble),
    contributions(vector) {
      assert(vector.length === ensemble.width, () => `a vector of ${ensemble.width} elements`)
      contributions.fill(0)
      for (let tree = 0; tree + 1 < starts.length; tree += 1) {
        const start = intAt(starts, tree)
        const end = intAt(starts, tree + 1)
        compare(splits, walk.state, vector, start, end)
        for (let group = 0; group < groups; group += 1) {
          walkDown(splits, walk, contributions, group, start, end)
          walkUp(splits, walk, contributions, group, start, end)
        }
      }
      return contributions
    },
  }
}

/*
 * The walks read elements as they are, and what is not there as NaN: a call of `doubleAt` for each took a seventh more
 * time (`npm run bench -- --only explain`).
 */

/** Of one tree, by split from its first one on. */
interface Walk {
  /** One of {@link splitStates}. */
  readonly state: Uint8Array
  /** By lane: the product of the path. */
  readonly reach: Float64Array
  /** By lane: the leaves below, each with its product. */
  readonly sums: Float64Array
}

function compare(splits: TreeSplits, state: Uint8Array, vector: Float32Array, start: number, end: number): void {
  const { element, mode, threshold, missingTrue, prior, priorState } = splits
  for (let split = start; split < end; split += 1) {
    const before = prior[split] ?? NaN
    let now: number = splitStates.lost
    if (before < 0 || state[before - start] === priorState[split]) {
      const value = vector[element[split] ?? NaN] ?? NaN
      const isHeld = holds(mode[split] ?? NaN, value, threshold[split] ?? NaN, missingTrue[split] ?? NaN)
      now = isHeld ? splitStates.holds : splitStates.fails
    }
    state[split - start] = now
  }
}

/** Follows every path at once, and adds up the leaves right below each split. */
function walkDown(
  { above, element, factors, leafPlace, leafPlaces, leaves }: TreeSplits,
  { reach, sums, state }: Walk,
  contributions: Float64Array,
  group: number,
  start: number,
  end: number,
): void {
  const ofGroup = group * above.length
  for (let split = start; split < end; split += 1) {
    const up = (above[split] ?? NaN) - start
    let a = 1
    let b = 1
    let c = 1
    if (up >= 0) {
      const from = up * lanes
      const by = (ofGroup + split) * block + (state[up] ?? NaN) * lanes
      a = (reach[from] ?? NaN) * (factors[by] ?? NaN)
      b = (reach[from + 1] ?? NaN) * (factors[by + 1] ?? NaN)
      c = (reach[from + 2] ?? NaN) * (factors[by + 2] ?? NaN)
    }
    const at = (split - start) * lanes
    reach[at] = a
    reach[at + 1] = b
    reach[at + 2] = c
    const place = leafPlace[split] ?? NaN
    if (place < 0) {
      sums[at] = 0
      sums[at + 1] = 0
      sums[at + 2] = 0
      continue
    }
    const leaf = (group * leafPlaces + place) * 2 * block + 2 * (state[split - start] ?? NaN) * lanes
    sums[at] = a * (leaves[leaf] ?? NaN)
    sums[at + 1] = b * (leaves[leaf + 1] ?? NaN)
    sums[at + 2] = c * (leaves[leaf + 2] ?? NaN)
    const part = a * (leaves[leaf + 3] ?? NaN) + b * (leaves[leaf + 4] ?? NaN) + c * (leaves[leaf + 5] ?? NaN)
    const compared = element[split] ?? NaN
    contributions[compared] = (contributions[compared] ?? NaN) + part
  }
}

/** Adds up the leaves further below, and gives each element its part of what is below its edges. */
function walkUp(
  { above, element, parts }: TreeSplits,
  { sums, state }: Walk,
  contributions: Float64Array,
  group: number,
  start: number,
  end: number,
): void {
  const ofGroup = group * above.length
  for (let split = end - 1; split > start; split -= 1) {
    const up = above[split] ?? NaN
    const from = (split - start) * lanes
    const to = (up - start) * lanes
    const by = (ofGroup + split) * block + (state[up - start] ?? NaN) * lanes
    const a = sums[from] ?? NaN
    const b = sums[from + 1] ?? NaN
    const c = sums[from + 2] ?? NaN
    sums[to] = (sums[to] ?? NaN) + a
    sums[to + 1] = (sums[to + 1] ?? NaN) + b
    sums[to + 2] = (sums[to + 2] ?? NaN) + c
    const part = (parts[by] ?? NaN) * a + (parts[by + 1] ?? NaN) * b + (parts[by + 2] ?? NaN) * c
    const compared = element[up] ?? NaN
    contributions[compared] = (contributions[compared] ?? NaN) + part
  }
}

/** Weighs every leaf by the share of the training data that came there. */
function baseOf(ensemble: TreeEnsemble): number {
  const { base, parent, value } = ensemble
  const share = new Float64Array(parent.length)
  let sum = 0
  for (let node = 0; node < parent.length; node += 1) {
    const above = intAt(parent, node)
    share[node] = above < 0 ? 1 : doubleAt(share, above) * shareOf(ensemble, node, above)
    sum += doubleAt(share, node) * doubleAt(value, node)
  }
  return base + sum
}
