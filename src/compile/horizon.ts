import { dayMs, durationMs } from '../core/units.ts'
import type { View } from '../define/view.ts'

/** An observation this much older than the newest one still counts in every window it belongs to. */
const allowedLatenessMs = dayMs

/** What the state of an entity with these views remembers: longest window + delay + allowed lateness. */
export function horizonMs(views: readonly View[]): number {
  const reach = views.flatMap((view) => view.windows.map((window) => durationMs(window) + durationMs(view.delay)))
  return Math.max(0, ...reach) + allowedLatenessMs
}
