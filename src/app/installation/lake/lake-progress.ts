import { loopClock } from '../../../clock/loop-clock.ts'
import type { Lake } from '../../../lake/commit/lake.ts'
import { lagOf, type LogPositions, type Topics } from '../../../lake/verify/watermark.ts'
import type { Sleeper } from '../../../process/retry.ts'

const pollMs = 200
/**
 * No process writes a lake that took nothing for so long: the session of a dead member ends within it on any machine.
 */
const stalledMs = 120_000
/** The same for a group without a member: a restarted one has joined by then. */
const abandonedMs = 30_000

export interface ProgressOptions {
  /** Whether the group has a member. Left out: it has. */
  readonly isAttended?: () => Promise<boolean>
  readonly clock: Pick<Sleeper, 'sleep'>
  /** Called between two polls; an error that it throws ends the wait. */
  readonly onLook?: (left: number) => void
}

/** Records of both topics, up to these positions, that the lake lacks. */
export async function lakeLag(lake: Lake, positions: LogPositions, topics: Topics): Promise<number> {
  const snapshot = await lake.snapshot()
  return (lagOf(snapshot, positions, topics.events) ?? 0) + (lagOf(snapshot, positions, topics.scores) ?? 0)
}

/** Waits until nothing is left, as long as the number falls: progress counts, not time. Answers the number left. */
export async function untilNoneLeft(left: () => Promise<number>, options: ProgressOptions): Promise<number> {
  const never = new AbortController().signal
  let least = await left()
  for (let sinceMs = loopClock.nowMs(); least > 0;) {
    options.onLook?.(least)
    await options.clock.sleep(pollMs, never)
    const now = await left()
    if (now < least) sinceMs = loopClock.nowMs()
    least = Math.min(least, now)
    const stillMs = loopClock.nowMs() - sinceMs
    if (stillMs > stalledMs) break
    if (stillMs > abandonedMs && (await options.isAttended?.()) === false) break
  }
  return least
}
