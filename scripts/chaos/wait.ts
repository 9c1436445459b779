import { setTimeout as delay } from 'node:timers/promises'
import { RiverbankError } from '../../src/core/errors.ts'

/** Waits until the condition holds; at the deadline rejects with `chaos_stuck`, which is a violation like any other. */
export async function until(
  what: string,
  deadlineMs: number,
  condition: () => boolean | Promise<boolean>,
  everyMs = 20,
): Promise<void> {
  const endMs = performance.now() + deadlineMs
  for (;;) {
    // Whoever is asked may be down just now.
    const holds = await Promise.resolve(condition()).catch((error: unknown) => {
      if (error instanceof RiverbankError && error.canRetry) return false
      throw error
    })
    if (holds) return
    if (performance.now() > endMs) throw new RiverbankError('chaos_stuck', `not within ${deadlineMs} ms: ${what}`)
    await delay(everyMs)
  }
}

/** Without any progress for so long, something stands still, whatever the machine. */
const standstillMs = 120_000

/** Waits until nothing is left, for as long as it becomes less: judged by progress, not by time. */
export async function advancing(what: string, left: () => Promise<number>): Promise<void> {
  let least = Infinity
  while (least > 0) {
    const before = least
    await until(`${what}, ${before} left`, standstillMs, async () => {
      least = Math.min(least, await left())
      return least < before
    })
  }
}

/** Asks again for as long as whoever is asked may be coming back. */
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
