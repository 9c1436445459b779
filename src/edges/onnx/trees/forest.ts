import type { TreeForest } from '../../../scoring/explain/score-formula.ts'
import { isCovers } from '../../../scoring/explain/tree-covers.ts'
import { branchModes } from '../../../scoring/explain/tree-ensemble.ts'
import type { Listing } from './listing.ts'
import { Unavailable } from './unavailable.ts'
import { intAt } from '../../../base/arrays.ts'

/** Covers are sums of float32 numbers; meaningless covers (1 everywhere) are far off. */
const coverTolerance = 0.01
/** More nodes than the largest model has: a listing that runs in circles ends here. */
const nodesMax = 4_000_000

/**
 * Brings listed nodes, which may come in any order, into pre-order, and checks that they are trees. `elements`: by
 * feature of the trees, its element in the vector. Throws {@link Unavailable}.
 */
export function forestOf(listing: Listing, elements: readonly number[], width: number): TreeForest {
  const nodes: { readonly place: number; readonly above: number; readonly side: number }[] = []
  const starts: number[] = [0]
  const seen = new Set<number>()
  for (const root of listing.roots) {
    const open = [{ place: root, above: -1, side: 0 }]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const listed = listing.at(next.place)
      if (seen.has(next.place) && (listing.places !== null || listed.kind === 'split')) {
        throw new Unavailable('a node of the trees is reached twice')
      }
      seen.add(next.place)
      const above = nodes.push(next) - 1
      if (nodes.length > nodesMax) throw new Unavailable(`the trees have more than ${nodesMax} nodes`)
      if (listed.kind === 'leaf') continue
      if (elements[listed.feature] === undefined) throw new Unavailable('a node compares what the vector has not')
      open.push({ place: listed.no, above, side: 0 }, { place: listed.yes, above, side: 1 })
    }
    starts.push(nodes.length)
  }
  if (listing.places !== null && nodes.length < listing.places)
    throw new Unavailable('a node of the trees is never reached')
  return filled(listing, elements, { width, nodes, starts })
}

interface Order {
  readonly width: number
  readonly nodes: readonly { readonly place: number; readonly above: number; readonly side: number }[]
  readonly starts: readonly number[]
}

function filled(listing: Listing, elements: readonly number[], { width, nodes, starts }: Order): TreeForest {
  const forest = {
    ...{ width, starts: Int32Array.from(starts) },
    parent: Int32Array.from(nodes, ({ above }) => above),
    whereTrue: Uint8Array.from(nodes, ({ side }) => side),
    feature: new Int32Array(nodes.length).fill(-1),
    mode: new Uint8Array(nodes.length),
    threshold: new Float32Array(nodes.length),
    missingTrue: new Uint8Array(nodes.length),
    leaves: Array.from({ length: listing.columns }, () => new Float64Array(nodes.length)),
  }
  const cover = new Float64Array(nodes.length)
  for (const [i, { place }] of nodes.entries()) {
    const listed = listing.at(place)
    cover[i] = listed.cover ?? NaN
    if (listed.kind === 'split') {
      forest.feature[i] = elements[listed.feature] ?? -1
      forest.mode[i] = listed.mode
      forest.threshold[i] = thresholdOf(listed.mode, listed.threshold)
      forest.missingTrue[i] = listed.missingTrue ? 1 : 0
      continue
    }
    for (const [column, weight] of listed.weights) {
      const leaves = forest.leaves[column]
      if (leaves === undefined) throw new Unavailable(`a leaf adds to column ${column} of ${listing.columns}`)
      leaves[i] = weight
    }
  }
  return { ...forest, cover: isCovers(forest, cover, coverTolerance) ? cover : null }
}

const [atMost, below, atLeast, above] = branchModes.keys()

/** The float32 that compares with every float32 as the double does. If no float32 equals it, NaN, which equals none. */
export function thresholdOf(mode: number, threshold: number): number {
  const nearest = Math.fround(threshold)
  if (nearest === threshold) return nearest
  if (mode === atMost || mode === above) return nearest < threshold ? nearest : neighbour(nearest, -1)
  if (mode === below || mode === atLeast) return nearest > threshold ? nearest : neighbour(nearest, 1)
  return NaN
}

const bits = new Int32Array(1)
const float = new Float32Array(bits.buffer)

function neighbour(value: number, direction: 1 | -1): number {
  if (value === 0) return direction * 2 ** -149
  float[0] = value
  bits[0] = intAt(bits, 0) + (value > 0 ? direction : -direction)
  return float[0]
}
