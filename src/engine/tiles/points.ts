import type { Point, Points, SlotShape } from './slot.ts'

/**
 * Merges points collected earlier with points collected later, by sequence number. Ascending in time; of equal times
 * the one with the smaller sequence number comes first.
 */
export function mergePoints({ kind, size }: SlotShape, earlier: Points, later: Points): Points {
  if (earlier.length === 0) return later
  if (later.length === 0) return earlier
  const merged: Point[] = []
  let [i, j] = [0, 0]
  while (i < earlier.length || j < later.length) {
    const [a, b] = [earlier[i], later[j]]
    if (b === undefined || (a !== undefined && a.timeMs <= b.timeMs)) {
      if (a !== undefined) merged.push(a)
      i += 1
    } else {
      merged.push(b)
      j += 1
    }
  }
  if (merged.length <= size) return merged
  return kind === 'oldest' ? merged.slice(0, size) : merged.slice(merged.length - size)
}
