import { gaussLegendre, type Quadrature } from './gauss-legendre.ts'
import type { TreeEnsemble } from './tree-ensemble.ts'

/**
 * How a vector stands to a split: its comparison holds or fails, and all comparisons of the same element above went the
 * way of this path; or `lost`: one above did not, so that nothing below tells anything new of the element.
 */
export const splitStates = { holds: 0, fails: 1, lost: 2 } as const
const stateCount = 3

/**
 * An ensemble arranged for `createTreeShap`: the nodes that compare, in the same order, and every number that depends
 * on the trees alone, by the state of the split that it is used at.
 */
export interface TreeSplits {
  /** Points of the integral. */
  readonly points: number
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
  /** By split, state of the split above, and point: the share of what reaches the one above that reaches this one. */
  readonly factors: Float64Array
  /** In the same order: what the element compared above has of all leaves below this split. */
  readonly parts: Float64Array
  /** Where a split has its place in `leaves`, −1 where no leaf is right below it. */
  readonly leavesAt: Int32Array
  /** By state: for each point the sum of these leaves, then for each point what the element has of it. */
  readonly leaves: Float64Array
}

/** Doubles that {@link splitsOf} makes of an ensemble. */
export function splitsSize(ensemble: TreeEnsemble): number {
  return ensemble.parent.length * pointsOf(ensemble, edgesAbove(ensemble)) * 2 * stateCount
}

export function splitsOf(ensemble: TreeEnsemble): TreeSplits {
  const { parent, feature, whereTrue, value } = ensemble
  const edges = edgesAbove(ensemble)
  const points = pointsOf(ensemble, edges)
  const nodes = Int32Array.from([...feature.keys()].filter((node) => (feature[node] as number) >= 0))
  const splitAt = new Int32Array(parent.length).fill(-1)
  for (const [split, node] of nodes.entries()) splitAt[node] = split
  const block = stateCount * points
  const leavesAt = leafPlaces(ensemble, splitAt, nodes.length, 2 * block)
  const splits: TreeSplits = {
    points,
    ...{
      starts: startsOf(ensemble),
      leavesAt,
      leaves: new Float64Array(2 * block * leavesAt.filter((at) => at >= 0).length),
    },
    above: nodes.map((node) => ((parent[node] as number) < 0 ? -1 : (splitAt[parent[node] as number] as number))),
    element: nodes.map((node) => feature[node] as number),
    mode: Uint8Array.from(nodes, (node) => ensemble.mode[node] as number),
    threshold: Float32Array.from(nodes, (node) => ensemble.threshold[node] as number),
    missingTrue: Uint8Array.from(nodes, (node) => ensemble.missingTrue[node] as number),
    prior: new Int32Array(nodes.length).fill(-1),
    priorState: new Uint8Array(nodes.length),
    factors: new Float64Array(nodes.length * block),
    parts: new Float64Array(nodes.length * block),
  }
  const compile = edgeCompiler(ensemble, edges, gaussLegendre(points))
  for (let node = 0; node < parent.length; node += 1) {
    const above = parent[node] as number
    if (above < 0) continue
    const [from, to] = [splitAt[above] as number, splitAt[node] as number]
    const edge = edges[node] as number
    if (edge >= 0) {
      splits.prior[from] = splitAt[parent[edge] as number] as number
      splits.priorState[from] = whereTrue[edge] === 1 ? splitStates.holds : splitStates.fails
    }
    compile(node, (state, point, factor, part) => {
      const at = state * points + point
      if (to >= 0) {
        splits.factors[to * block + at] = factor
        splits.parts[to * block + at] = part
        return
      }
      const sum = (leavesAt[from] as number) + 2 * state * points + point
      const leaf = factor * (value[node] as number)
      splits.leaves[sum] = (splits.leaves[sum] as number) + leaf
      splits.leaves[sum + points] = (splits.leaves[sum + points] as number) + part * leaf
    })
  }
  return splits
}

type EdgeNumbers = (state: number, point: number, factor: number, part: number) => void

/**
 * Tells the numbers of the edge into a node, for each state of the split above and each point y. With z the share of
 * the training data that took all edges of the element so far, and o whether the vector took them, the element's factor
 * of the path's product is (1 − y)·z + y·o, and its part of the whole is (o − z) ÷ factor. Edges of an element that is
 * compared again replace those above: factors are quotients, and parts are differences.
 */
function edgeCompiler({ parent, whereTrue, cover }: TreeEnsemble, edges: Int32Array, { points, weights }: Quadrature) {
  const share = new Float64Array(parent.length)
  return (node: number, tell: EdgeNumbers): void => {
    const edge = edges[node] as number
    const taken = (cover[node] as number) / (cover[parent[node] as number] as number)
    const before = edge < 0 ? 1 : (share[edge] as number)
    const z = before * taken
    share[node] = z
    const { holds, fails, lost } = splitStates
    const [met, broken] = whereTrue[node] === 1 ? [holds, fails] : [fails, holds]
    for (const [i, y] of points.entries()) {
      const weight = weights[i] as number
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
    for (let node = above; (parent[node] as number) >= 0; node = parent[node] as number) {
      if (feature[parent[node] as number] === feature[above]) return node
    }
    return -1
  })
}

/** ⌈k ÷ 2⌉ for the path that compares the most elements, k. */
function pointsOf({ parent }: TreeEnsemble, edges: Int32Array): number {
  const elements = new Int32Array(parent.length)
  let most = 1
  for (let node = 0; node < parent.length; node += 1) {
    const above = parent[node] as number
    if (above < 0) continue
    elements[node] = (elements[above] as number) + ((edges[node] as number) < 0 ? 1 : 0)
    most = Math.max(most, elements[node] as number)
  }
  return Math.ceil(most / 2)
}

function startsOf({ starts, feature }: TreeEnsemble): Int32Array {
  let splits = 0
  let node = 0
  return starts.map((start) => {
    for (; node < start; node += 1) if ((feature[node] as number) >= 0) splits += 1
    return splits
  })
}

function leafPlaces({ parent, feature }: TreeEnsemble, splitAt: Int32Array, splits: number, block: number): Int32Array {
  const places = new Int32Array(splits).fill(-1)
  let next = 0
  for (let node = 0; node < parent.length; node += 1) {
    const above = parent[node] as number
    if (above < 0 || (feature[node] as number) >= 0) continue
    const split = splitAt[above] as number
    if ((places[split] as number) >= 0) continue
    places[split] = next
    next += block
  }
  return places
}
