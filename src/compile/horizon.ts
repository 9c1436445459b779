import { dayMs, durationMs, windowMs } from '../base/units.ts'
import type { View } from '../define/view.ts'

/** An observation this much older than the newest one still counts in every window it belongs to. */
const allowedLatenessMs = dayMs

/**
 * How far back the state of an entity with these views remembers: longest window + delay + allowed lateness. A lifetime
 * window adds nothing: the state merges what it forgets into what such a window always reads.
 */
export function horizonMs(views: readonly View[]): number {
  const reach = views.flatMap((view) => view.windows.map((window) => finite(window) + durationMs(view.delay)))
  return Math.max(0, ...reach) + allowedLatenessMs
}

function finite(window: string): number {
  return window === 'lifetime' ? 0 : windowMs(window)
}
