import { build, type Histogram } from 'hdr-histogram-js'
import { setTimeout as delay } from 'node:timers/promises'
import { RiverbankError } from '../../src/base/errors.ts'

/** Of the times in a histogram: 0.1 % of the value, up to a minute. */
const precision = {
  lowestDiscernibleValue: 1,
  highestTrackableValue: 60_000_000,
  numberOfSignificantValueDigits: 3,
} as const

const causeBefore = '"causationid":"'

/** Measures how long payments wait for their scores, in µs from the time at which the schedule wanted each sent. */
export class ScoreWatch {
  readonly waits: Histogram = build(precision)
  readonly #intendedMs = new Map<string, number>()
  readonly #uncounted: number
  #payments = 0

  /** Does not count the first `uncounted` payments. */
  constructor(uncounted: number) {
    this.#uncounted = uncounted
  }

  readonly intended = (eventId: string, intendedMs: number): void => {
    this.#payments += 1
    this.#intendedMs.set(eventId, this.#payments > this.#uncounted ? intendedMs : NaN)
  }

  /** Takes an output event; only its cause is read, so that the watch takes little time from what it measures. */
  readonly take = (value: Uint8Array): void => {
    const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1')
    const start = text.indexOf(causeBefore) + causeBefore.length
    const eventId = text.slice(start, text.indexOf('"', start))
    const intendedMs = this.#intendedMs.get(eventId)
    if (intendedMs === undefined) return
    this.#intendedMs.delete(eventId)
    const waitedUs = Math.round((performance.now() - intendedMs) * 1_000)
    if (!Number.isNaN(waitedUs)) this.waits.recordValue(Math.min(waitedUs, precision.highestTrackableValue))
  }

  /** Resolves when every payment has its score. Errors: `unanswered`. */
  async untilAnswered(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs
    while (this.#intendedMs.size > 0) {
      signal.throwIfAborted()
      if (performance.now() > deadlineMs) {
        throw new RiverbankError('unanswered', `${this.#intendedMs.size} payments have no score after ${timeoutMs} ms`)
      }
      await delay(5)
    }
  }
}
