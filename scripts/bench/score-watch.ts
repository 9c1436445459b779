import { setTimeout as delay } from 'node:timers/promises'
import type { Installation } from './installation.ts'
import { isPayment, type SimulatedEvent } from '../../features/simulator/payment-events.ts'
import { names } from '../../src/app/installation/settings/config.ts'
import { paymentInitiated } from '../../features/sources.ts'
import { RiverbankError } from '../../src/base/errors.ts'
import type { LogBatch, Subscription } from '../../src/ports/log.ts'

interface Sent {
  readonly atMs: number
  readonly isCounted: boolean
}

/** Follows the scores of the payments that pass through it, and measures how long each took. */
export class ScoreWatch {
  /** From the append of a payment to that of its score. */
  readonly logMs: number[] = []
  /** From {@link noting} handing a payment on to the read of its score here. */
  readonly clientMs: number[] = []
  readonly #sent = new Map<string, Sent>()
  readonly #uncounted: number
  #tail: Subscription | null = null

  private constructor(uncounted: number) {
    this.#uncounted = uncounted
  }

  /** Sees every score from now on; does not measure the first `uncounted` payments. */
  static async open({ config, log }: Installation, uncounted: number): Promise<ScoreWatch> {
    const watch = new ScoreWatch(uncounted)
    const topic = names(config).topics.scores
    watch.#tail = await log.tail({ topic, from: 'end', maxRecords: 1_000, maxWaitMs: 20 }, (batch) => {
      watch.#take(batch)
      return Promise.resolve()
    })
    return watch
  }

  /** Passes events on and notes the time of each. */
  *noting(events: Iterable<SimulatedEvent>): Generator<SimulatedEvent> {
    let payments = 0
    for (const event of events) {
      if (isPayment(event)) {
        payments += 1
        this.#sent.set(event.eventId, { atMs: performance.now(), isCounted: payments > this.#uncounted })
      }
      yield event
    }
  }

  /** Resolves when every payment has its score. Errors: `unanswered`. */
  async untilAnswered(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs
    while (this.#sent.size > 0) {
      signal.throwIfAborted()
      if (performance.now() > deadlineMs) {
        throw new RiverbankError('unanswered', `${this.#sent.size} payments have no score after ${timeoutMs} ms`)
      }
      await delay(5)
    }
  }

  async close(): Promise<void> {
    await this.#tail?.stop()
  }

  #take(batch: LogBatch): void {
    const nowMs = performance.now()
    for (const record of batch.records) {
      const event = JSON.parse(Buffer.from(record.value).toString('utf8')) as {
        type: string
        time: string
        causationid: string
      }
      if (event.type !== paymentInitiated.scored?.emits) continue
      const sent = this.#sent.get(event.causationid)
      if (sent === undefined) continue
      this.#sent.delete(event.causationid)
      if (!sent.isCounted) continue
      this.clientMs.push(nowMs - sent.atMs)
      // The score's own time is when the log took its payment.
      this.logMs.push(record.appendTimeMs - Date.parse(event.time))
    }
  }
}
