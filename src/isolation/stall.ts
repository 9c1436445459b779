import { loopClock } from '../clock/loop-clock.ts'
import { RiverbankError } from '../base/errors.ts'

/**
 * The result of work that must not take longer than this, by the clock that counts 40 ms a turn of the loop: a starved
 * machine is no stall. Whatever the work waits for on other sides has a shorter limit of its own. Errors:
 * `handler_stalled`, with which the process has to end: nothing else stops what stalls, and it may go on at any time.
 */
export async function unlessStalled<Result>(what: string, limitMs: number, work: Promise<Result>): Promise<Result> {
  // Late work may still fail, and nothing waits for that.
  if (await loopClock.within(limitMs, work)) return work
  work.catch(() => undefined)
  throw new RiverbankError('handler_stalled', `${what} has not settled within ${limitMs} ms of listening`)
}
