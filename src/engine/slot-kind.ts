/**
 * A slot is the part of an aggregate that tiles hold; several aggregates share one (a mean is a sum and a count). To each
 * kind one prepared value is added, and what was collected earlier merges with what was collected later (by sequence
 * number). Sums are over integers, so neither order nor grouping can change a bit. Numbers stand in cells
 * (tiles/cells.ts), points in lists (tiles/points.ts), different values in one or the other (tiles/distinct.ts).
 */
export type SlotKind =
  'count' | 'sum' | 'square_sum' | 'min' | 'max' | 'oldest_time' | 'newest_time' | 'oldest' | 'newest' | 'distinct'
