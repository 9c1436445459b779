/** The points of a batch at which the harness can hold a processor. */
export const points = [
  'after-load',
  'before-write',
  'after-write',
  'before-advance',
  'after-advance',
  'before-publish',
  'after-publish',
  'before-commit',
  'after-commit',
] as const
export type Point = (typeof points)[number]

/**
 * An order to a processor: to wait at a point the nth time it gets there, to go on, or to block its event loop while
 * the store answers the next write.
 */
export type Order =
  | { readonly kind: 'hold'; readonly point: Point; readonly nth: number }
  | { readonly kind: 'go' }
  | { readonly kind: 'block'; readonly ms: number }

/** A report of a processor. */
export type Word =
  | { readonly kind: 'held'; readonly point: Point }
  | { readonly kind: 'assigned'; readonly partition: number }
  | { readonly kind: 'committed'; readonly partition: number; readonly next: number }
  | { readonly kind: 'fenced'; readonly partition: number }
  | { readonly kind: 'blocked'; readonly ms: number }
  | { readonly kind: 'conflicts'; readonly count: number }
