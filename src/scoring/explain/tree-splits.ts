import { byteAt, doubleAt, floatAt, intAt } from '../../base/arrays.ts'
import { gaussLegendre, type Quadrature } from './gauss-legendre.ts'
import { shareOf, type TreeEnsemble } from './tree-ensemble.ts'

/**
 * How a vector stands to a split: its comparison holds or fails, and all comparisons of the same element above went the
 * way of this path; or `lost`: one above did not, so that nothing below tells anything new of the element.
 */
export const splitStates = { holds: 0, fails: 1, lost: 2 } as const
const stateCount = 3

/**
 * Points of the integral that are computed together, written out: loops over so few cost more than what they do. Three
 * are enough for six different elements on a path; more points than needed change nothing but the time.
 */
export const lanes = 3
/** Numbers of a split in one group of points: one per state and lane. */
export const block = stateCount * lanes

/**
 * An ensemble arranged for `createTreeShap`: the nodes that compare, in the same order, and every number that depends
 * on the trees alone, by the state of the split that it is used at.
 */
export interface TreeSplits {
  /** Of {@link lanes} points of the integral. */
  readonly groups: number
  /** First split of each tree, and at the end the number of splits. */
  readonly starts: Int32Array
  /** The split above, −1 of a root. */
  readonly above: Int32Array
  /** Which element of the vector is compared, and how: see {@link TreeEnsemble}. */
  readonly element: Int32Array
  readonly mode: Uint8Array
  readonly threshold: Float32Array
  readonly missingTrue: Uint8Array
  /** The nearest split above on the same element, −1 where there is none, and its state on the path to this one. */
  readonly prior: Int32Array
  readonly priorState: Uint8Array
  /**
   * By group, split, state of the split above, and lane: the share of what reaches the split above that reaches this
   * one.
   */
  readonly factors: Float64Array
  /** In the same order: what the element compared above has of all leaves below this split. */
  readonly parts: Float64Array
  /** Which of those that have leaves right below them a split is, −1 where it has none. */
  readonly leafPlace: Int32Array
  readonly leafPlaces: number
  /**
   * By group, leaf place and state: for each lane the sum of the leaves right below, then for each lane what the
   * element has of it.
   */
  readonly leaves: Float64Array
}

/** Doubles that {@link splitsOf} makes of an ensemble, at most. */
export function splitsSize(ensemble: TreeEnsemble): number {
  return ensemble.parent.length * groupsOf(ensemble, edgesAbove(ensemble)) * 2 * block
}

export function splitsOf(ensemble: TreeEnsemble): TreeSplits {
  const { parent, feature, whereTrue, value } = ensemble
  const edges = edgesAbove(ensemble)
  const groups = groupsOf(ensemble, edges)
  const nodes = feature.map((element, node) => (element < 0 ? -1 : node)).filter((node) => node >= 0)
  const splitAt = new Int32Array(parent.length).fill(-1)
  for (const [split, node] of nodes.entries()) splitAt[node] = split
  const { leafPlace, leafPlaces } = leafPlacesOf(ensemble, splitAt, nodes.length)
  const splits: TreeSplits = {
    ...{ groups, starts: startsOf(ensemble), leafPlace, leafPlaces },
    above: nodes.map((node) => splitAt[intAt(parent, node)] ?? -1),
    element: nodes.map((node) => intAt(feature, node)),
    mode: Uint8Array.from(nodes, (node) => byteAt(ensemble.mode, node)),
    threshold: Float32Array.from(nodes, (node) => floatAt(ensemble.threshold, node)),
    missingTrue: Uint8Array.from(nodes, (node) => byteAt(ensemble.missingTrue, node)),
    prior: new Int32Array(nodes.length).fill(-1),
    priorState: new Uint8Array(nodes.length),
    factors: new Float64Array(groups * nodes.length * block),
    parts: new Float64Array(groups * nodes.length * block),
    leaves: new Float64Array(groups * leafPlaces * 2 * block),
  }
  const compile = edgeCompiler(ensemble, edges, gaussLegendre(groups * lanes))
  for (let node = 0; node < parent.length; node += 1) {
    const above = intAt(parent, node)
    if (above < 0) continue
    const [from, to] = [intAt(splitAt, above), intAt(splitAt, node)]
    const edge = intAt(edges, node)
    if (edge >= 0) {
      splits.prior[from] = intAt(splitAt, intAt(parent, edge))
      splits.priorState[from] = whereTrue[edge] === 1 ? splitStates.holds : splitStates.fails
    }
    compile(node, (state, point, factor, part) => {
      const group = Math.floor(point / lanes)
      const lane = point % lanes
      if (to >= 0) {
        const at = (group * nodes.length + to) * block + state * lanes + lane
        splits.factors[at] = factor
        splits.parts[at] = part
        return
      }
      const at = (group * leafPlaces + intAt(leafPlace, from)) * 2 * block + 2 * state * lanes + lane
      const leaf = factor * doubleAt(value, node)
      splits.leaves[at] = doubleAt(splits.leaves, at) + leaf
      splits.leaves[at + lanes] = doubleAt(splits.leaves, at + lanes) + part * leaf
    })
  }
  return splits
}

type EdgeNumbers = (state: number, point: number, factor: number, part: number) => void

/**
 * Computes the numbers of the edge into a node, for each state of the split above and each point y. With z the share of
 * the training data that took all edges of the element so far, and o whether the vector took them, the element's factor
 * of the path's product is (1 − y)·z + y·o, and its part of the whole is (o − z) ÷ factor. Edges of an element that is
 * compared again replace those above: factors are quotients, and parts are differences.
 */
function edgeCompiler(ensemble: TreeEnsemble, edges: Int32Array, { points, weights }: Quadrature) {
  const { parent, whereTrue } = ensemble
  const share = new Float64Array(parent.length)
  return (node: number, tell: EdgeNumbers): void => {
    const edge = intAt(edges, node)
    const taken = shareOf(ensemble, node, intAt(parent, node))
    const before = edge < 0 ? 1 : doubleAt(share, edge)
    const z = before * taken
    share[node] = z
    const { holds, fails, lost } = splitStates
    const [met, broken] = whereTrue[node] === 1 ? [holds, fails] : [fails, holds]
    for (const [i, y] of points.entries()) {
      const weight = doubleAt(weights, i)
      const unknown = 1 - y
      const factorBefore = before * unknown + y
      const partBefore = (1 - before) / factorBefore
      const factor = z * unknown + y
      tell(met, i, factor / factorBefore, weight * ((1 - z) / factor - partBefore))
      tell(broken, i, (z * unknown) / factorBefore, weight * (-1 / unknown - partBefore))
      tell(lost, i, taken, 0)
    }
  }
}

/** By node: the nearest edge above the edge into it that is of the same element, as the node it leads to; or −1. */
function edgesAbove({ parent, feature }: TreeEnsemble): Int32Array {
  return parent.map((above) => {
    if (above < 0) return -1
    for (let node = above; intAt(parent, node) >= 0; node = intAt(parent, node)) {
      if (feature[intAt(parent, node)] === feature[above]) return node
    }
    return -1
  })
}

/** Enough for ⌈k ÷ 2⌉ points, where k is how many different elements the longest path compares. */
function groupsOf({ parent }: TreeEnsemble, edges: Int32Array): number {
  const elements = new Int32Array(parent.length)
  let most = 1
  for (let node = 0; node < parent.length; node += 1) {
    const above = intAt(parent, node)
    if (above < 0) continue
    elements[node] = intAt(elements, above) + (intAt(edges, node) < 0 ? 1 : 0)
    most = Math.max(most, intAt(elements, node))
  }
  return Math.ceil(most / 2 / lanes)
}

function startsOf({ starts, feature }: TreeEnsemble): Int32Array {
  let splits = 0
  let node = 0
  return starts.map((start) => {
    for (; node < start; node += 1) if (intAt(feature, node) >= 0) splits += 1
    return splits
  })
}

function leafPlacesOf({ parent, feature }: TreeEnsemble, splitAt: Int32Array, splits: number) {
  const leafPlace = new Int32Array(splits).fill(-1)
  let leafPlaces = 0
  for (let node = 0; node < parent.length; node += 1) {
    const above = intAt(parent, node)
    if (above < 0 || intAt(feature, node) >= 0) continue
    const split = intAt(splitAt, above)
    if (intAt(leafPlace, split) >= 0) continue
    leafPlace[split] = leafPlaces
    leafPlaces += 1
  }
  return { leafPlace, leafPlaces }
}
