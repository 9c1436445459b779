import { isRiverbankError } from '../base/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/telemetry.ts'

export interface RetryPolicy {
  /** Tries in all. */
  readonly attempts: number
  readonly firstDelayMs: number
  readonly maxDelayMs: number
  /** A time-out is not retried here: the caller tries fewer records. */
  readonly passTimeouts?: boolean
}

export interface Sleeper extends Clock {
  /** Resolves after the time or, early, when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/**
 * Repeats a step that failed with `canRetry`, with doubling pauses, and gives up after the last attempt, when the
 * signal is aborted, or at once for any other error. Only for steps that may be repeated: loads, compare-and-sets,
 * publishing.
 */
export async function withRetry<Result>(
  step: string,
  policy: RetryPolicy,
  { clock, signal, logger }: { clock: Sleeper; signal: AbortSignal; logger: Logger },
  run: () => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run()
    } catch (error) {
      if (!isRiverbankError(error) || !error.canRetry || attempt >= policy.attempts || signal.aborted) throw error
      if (error.timedOut && policy.passTimeouts === true) throw error
      const delayMs = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** (attempt - 1))
      logger.warn(`${step} failed, trying again`, { attempt, delayMs, code: error.code, reason: error.message })
      await clock.sleep(delayMs, signal)
    }
  }
}
