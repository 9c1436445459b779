/**
 * A slot is one sum, count or list of a tile; several aggregates share one (a mean reads a sum and a count). An update
 * adds one prepared value to a slot, and an earlier slot merges with a later one (by sequence number). Sums are over
 * integers, so neither order nor grouping can change a bit. Numbers stand in cells (tiles/cells.ts), points in lists
 * (tiles/points.ts), different values in one or the other (tiles/distinct.ts).
 */
export type SlotKind =
  'count' | 'sum' | 'square_sum' | 'min' | 'max' | 'oldest_time' | 'newest_time' | 'oldest' | 'newest' | 'distinct'
