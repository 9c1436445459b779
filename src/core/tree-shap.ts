import { assert } from './errors.ts'
import { holds, type TreeEnsemble } from './tree-ensemble.ts'
import { splitsOf, splitStates, type TreeSplits } from './tree-splits.ts'

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
 * k − 1 in y, so ⌈k ÷ 2⌉ points of Gauss-Legendre integrate it exactly. An element's part of that product is one factor
 * for all leaves below an edge: one walk down, one walk up, a few multiplications per split and point. Products and
 * sums have no small differences of large numbers, at any depth.
 */
export function createTreeShap(ensemble: TreeEnsemble): TreeShap {
  const splits = splitsOf(ensemble)
  const { starts, points } = splits
  const largest = starts.reduce((most, start, i) => Math.max(most, start - (starts[i - 1] ?? start)), 0)
  const walk: Walk = {
    reach: new Float64Array(largest * points),
    sums: new Float64Array(largest * points),
    state: new Uint8Array(largest),
  }
  const contributions = new Float64Array(ensemble.width)
  return {
    base: baseOf(ensemble),
    contributions(vector) {
      assert(vector.length === ensemble.width, `a vector of ${ensemble.width} elements`)
      contributions.fill(0)
      for (let tree = 0; tree + 1 < starts.length; tree += 1) {
        const start = starts[tree] as number
        const end = starts[tree + 1] as number
        walkDown(splits, walk, vector, contributions, start, end)
        walkUp(splits, walk, contributions, start, end)
      }
      return contributions
    },
  }
}

/** Of one tree, by split from its first one on. */
interface Walk {
  /** By point: the product of the path. */
  readonly reach: Float64Array
  /** By point: the leaves below, each with its product. */
  readonly sums: Float64Array
  readonly state: Uint8Array
}

/** Follows every path at once, and adds up the leaves right below each split. */
function walkDown(
  splits: TreeSplits,
  { reach, sums, state }: Walk,
  vector: Float32Array,
  contributions: Float64Array,
  start: number,
  end: number,
): void {
  const { points, above, element, mode, threshold, missingTrue, prior, priorState, factors, leavesAt, leaves } = splits
  for (let split = start; split < end; split += 1) {
    const at = (split - start) * points
    const from = (above[split] as number) - start
    if (from < 0) {
      for (let i = 0; i < points; i += 1) reach[at + i] = 1
    } else {
      const factor = (split * 3 + (state[from] as number)) * points
      for (let i = 0; i < points; i += 1) {
        reach[at + i] = (reach[from * points + i] as number) * (factors[factor + i] as number)
      }
    }
    const compared = element[split] as number
    const before = prior[split] as number
    let now: number = splitStates.lost
    if (before < 0 || state[before - start] === priorState[split]) {
      const value = vector[compared] as number
      const isHeld = holds(mode[split] as number, value, threshold[split] as number, missingTrue[split] as number)
      now = isHeld ? splitStates.holds : splitStates.fails
    }
    state[split - start] = now
    const place = leavesAt[split] as number
    if (place < 0) {
      for (let i = 0; i < points; i += 1) sums[at + i] = 0
      continue
    }
    const leaf = place + 2 * now * points
    let part = 0
    for (let i = 0; i < points; i += 1) {
      const reached = reach[at + i] as number
      sums[at + i] = reached * (leaves[leaf + i] as number)
      part += reached * (leaves[leaf + points + i] as number)
    }
    contributions[compared] = (contributions[compared] as number) + part
  }
}

/** Adds up the leaves further below, and gives each element its part of what is below its edges. */
function walkUp(
  { points, above, element, parts }: TreeSplits,
  { sums, state }: Walk,
  contributions: Float64Array,
  start: number,
  end: number,
): void {
  for (let split = end - 1; split > start; split -= 1) {
    const up = above[split] as number
    const from = (split - start) * points
    const to = (up - start) * points
    const by = (split * 3 + (state[up - start] as number)) * points
    let part = 0
    for (let i = 0; i < points; i += 1) {
      const sum = sums[from + i] as number
      sums[to + i] = (sums[to + i] as number) + sum
      part += (parts[by + i] as number) * sum
    }
    const compared = element[up] as number
    contributions[compared] = (contributions[compared] as number) + part
  }
}

/** Every leaf by the share of the training data that came there. */
function baseOf({ base, parent, value, cover }: TreeEnsemble): number {
  const share = new Float64Array(parent.length)
  let sum = 0
  for (let node = 0; node < parent.length; node += 1) {
    const above = parent[node] as number
    share[node] = above < 0 ? 1 : ((share[above] as number) * (cover[node] as number)) / (cover[above] as number)
    sum += (share[node] as number) * (value[node] as number)
  }
  return base + sum
}
