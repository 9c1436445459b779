import { setTimeout as delay } from 'node:timers/promises'
import { untilNoneLeft } from '../../src/app/installation/lake/lake-progress.ts'
import { systemClock } from '../../src/app/roles/lifecycle/role.ts'
import { isRiverbankError, RiverbankError } from '../../src/base/errors.ts'

/** Waits until the condition holds; at the deadline rejects with `chaos_stuck`, which is a violation like any other. */
export async function until(
  what: string,
  deadlineMs: number,
  condition: () => boolean | Promise<boolean>,
  everyMs = 20,
): Promise<void> {
  const endMs = performance.now() + deadlineMs
  for (;;) {
    // The server or role that it asks may be down now.
    const holds = await Promise.resolve(condition()).catch((error: unknown) => {
      if (error instanceof RiverbankError && error.canRetry) return false
      throw error
    })
    if (holds) return
    if (performance.now() > endMs) throw new RiverbankError('chaos_stuck', `not within ${deadlineMs} ms: ${what}`)
    await delay(everyMs)
  }
}

/** Waits until nothing is left, as long as the number falls: progress counts, not time. */
export async function advancing(what: string, left: () => Promise<number>): Promise<void> {
  const leftNow = () =>
    left().catch((error: unknown) => {
      if (isRiverbankError(error) && error.canRetry) return Infinity
      throw error
    })
  const rest = await untilNoneLeft(leftNow, { clock: systemClock })
  if (rest > 0) throw new RiverbankError('chaos_stuck', `${what}: ${rest} left, and no fewer`)
}

/** Asks again until the server or role may no longer come back. */
export async function answered<Value>(what: string, deadlineMs: number, ask: () => Promise<Value>): Promise<Value> {
  const answers: Value[] = []
  await until(what, deadlineMs, async () => {
    answers.push(await ask())
    return true
  })
  const [answer] = answers
  if (answer === undefined) throw new RiverbankError('chaos_stuck', what)
  return answer
}
