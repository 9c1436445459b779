import type { TreeForest } from './score-formula.ts'
import { holds } from './tree-ensemble.ts'

/** Sides of a node that compares, by place: where its comparison holds, and where it does not. */
interface Sides {
  readonly whereTrue: Int32Array
  readonly whereFalse: Int32Array
}

/**
 * How many of these rows come through each node. `rows`: a multiple of the forest's width, row-major; every vector as the
 * model takes it.
 */
export function countCovers(forest: TreeForest, rows: Float32Array): Float64Array {
  const { width, starts, feature, mode, threshold, missingTrue } = forest
  const cover = new Float64Array(forest.parent.length)
  const { whereTrue, whereFalse } = sidesOf(forest)
  for (let from = 0; from + width <= rows.length; from += width) {
    for (let tree = 0; tree + 1 < starts.length; tree += 1) {
      let node = starts[tree] as number
      cover[node] = (cover[node] as number) + 1
      while ((feature[node] as number) >= 0) {
        const value = rows[from + (feature[node] as number)] as number
        const isHeld = holds(mode[node] as number, value, threshold[node] as number, missingTrue[node] as number)
        node = (isHeld ? whereTrue : whereFalse)[node] as number
        cover[node] = (cover[node] as number) + 1
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
    const own = cover[node] as number
    if (!(own >= 0 && Number.isFinite(own))) return false
    if ((feature[node] as number) >= 0 && Math.abs((below[node] as number) - own) > tolerance * own) return false
    const above = parent[node] as number
    if (above >= 0) below[above] = (below[above] as number) + own
  }
  return starts.subarray(0, -1).every((root) => (cover[root] as number) > 0)
}

function sidesOf({ parent, whereTrue }: TreeForest): Sides {
  const sides = { whereTrue: new Int32Array(parent.length), whereFalse: new Int32Array(parent.length) }
  for (let node = 0; node < parent.length; node += 1) {
    const above = parent[node] as number
    if (above >= 0) (whereTrue[node] === 1 ? sides.whereTrue : sides.whereFalse)[above] = node
  }
  return sides
}
