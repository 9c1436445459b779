import { byteAt, doubleAt, floatAt, intAt } from '../../base/arrays.ts'
import type { TreeForest } from './score-formula.ts'
import { holds } from './tree-ensemble.ts'

/** Sides of a node that compares, by place: where its comparison holds, and where it does not. */
interface Sides {
  readonly whereTrue: Int32Array
  readonly whereFalse: Int32Array
}

/**
 * How many of these rows come through each node. `rows`: a multiple of the forest's width, row-major; every vector as
 * the model takes it.
 */
export function countCovers(forest: TreeForest, rows: Float32Array): Float64Array {
  const { width, starts, feature, mode, threshold, missingTrue } = forest
  const cover = new Float64Array(forest.parent.length)
  const { whereTrue, whereFalse } = sidesOf(forest)
  for (let from = 0; from + width <= rows.length; from += width) {
    for (let tree = 0; tree + 1 < starts.length; tree += 1) {
      let node = intAt(starts, tree)
      cover[node] = doubleAt(cover, node) + 1
      while (intAt(feature, node) >= 0) {
        const value = floatAt(rows, from + intAt(feature, node))
        const isHeld = holds(byteAt(mode, node), value, floatAt(threshold, node), byteAt(missingTrue, node))
        node = intAt(isHeld ? whereTrue : whereFalse, node)
        cover[node] = doubleAt(cover, node) + 1
      }
    }
  }
  return cover
}

/** Whether every node that compares has what its two sides have together, by `tolerance` of it. */
export function isCovers(forest: Omit<TreeForest, 'cover'>, cover: ArrayLike<number>, tolerance: number): boolean {
  const { feature, parent, starts } = forest
  if (cover.length !== parent.length) return false
  const below = new Float64Array(parent.length)
  for (let node = parent.length - 1; node >= 0; node -= 1) {
    const own = cover[node] ?? NaN
    if (!(own >= 0 && Number.isFinite(own))) return false
    if (intAt(feature, node) >= 0 && Math.abs(doubleAt(below, node) - own) > tolerance * own) return false
    const above = intAt(parent, node)
    if (above >= 0) below[above] = doubleAt(below, above) + own
  }
  return starts.subarray(0, -1).every((root) => (cover[root] ?? NaN) > 0)
}

function sidesOf({ parent, whereTrue }: TreeForest): Sides {
  const sides = { whereTrue: new Int32Array(parent.length), whereFalse: new Int32Array(parent.length) }
  for (let node = 0; node < parent.length; node += 1) {
    const above = intAt(parent, node)
    if (above >= 0) (whereTrue[node] === 1 ? sides.whereTrue : sides.whereFalse)[above] = node
  }
  return sides
}
