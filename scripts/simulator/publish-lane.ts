import { isRiverbankError } from '../../src/base/errors.ts'
import type { OutgoingRecord } from '../../src/ports/log.ts'

/** Publishes records; resolves when the log has acknowledged them. `EventLog.publish` is one. */
export type Publish = (records: readonly OutgoingRecord[]) => Promise<unknown>

/** Monotonic milliseconds and waiting, so that tests need no real time. `sleep` resolves early when aborted. */
export interface Timer {
  nowMs(): number
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** How to retry errors with `canRetry`, such as a log that is full until its readers catch up. */
export interface RetryOptions {
  readonly baseDelayMs: number
  readonly maxDelayMs: number
  /** A batch that fails for this long, while no reader of a full log moves, ends the stream with its last error. */
  readonly giveUpMs: number
}

export interface LaneOptions {
  readonly publish: Publish
  readonly batchRecords: number
  /** Sends the gathered records as soon as a batch is acknowledged, however few they are. */
  readonly eager: boolean
  readonly retry: RetryOptions
  readonly timer: Timer
  /** Ends waiting between tries; the lane gives up records that are not acknowledged by then. */
  readonly signal: AbortSignal
  readonly onSent: (records: number) => void
  readonly onRetry: () => void
  /** Called once with the error that ended the lane. Not called when the signal ended it. */
  readonly onFailure: (error: unknown) => void
}

/**
 * One batch in flight and one gathering: records leave in the order they came, also when a batch must be tried again.
 * Holds at most twice `batchRecords`.
 */
export class PublishLane {
  readonly #options: LaneOptions
  #gathering: OutgoingRecord[] = []
  #sending: Promise<void> | null = null

  constructor(options: LaneOptions) {
    this.#options = options
  }

  get full(): boolean {
    return this.#gathering.length >= this.#options.batchRecords
  }

  add(record: OutgoingRecord): void {
    this.#gathering.push(record)
  }

  /** Starts sending the gathered records, unless a batch is in flight. */
  flush(): void {
    if (this.#sending !== null || this.#gathering.length === 0 || this.#options.signal.aborted) return
    const batch = this.#gathering
    this.#gathering = []
    this.#sending = this.#send(batch).finally(() => {
      this.#sending = null
      if (this.#options.eager || this.full) this.flush()
    })
  }

  /** Waits for the batch in flight. Never rejects: failures go to `onFailure`. */
  async settled(): Promise<void> {
    await this.#sending
  }

  /** Sends everything. */
  async drain(): Promise<void> {
    while (this.#sending !== null || (this.#gathering.length > 0 && !this.#options.signal.aborted)) {
      this.flush()
      await this.#sending
    }
  }

  async #send(batch: readonly OutgoingRecord[]): Promise<void> {
    const { publish, retry, timer, signal } = this.#options
    let sinceMs = timer.nowMs()
    let full = ''
    for (let delayMs = retry.baseDelayMs; ; delayMs = Math.min(delayMs * 2, retry.maxDelayMs)) {
      try {
        await publish(batch)
        this.#options.onSent(batch.length)
        return
      } catch (error) {
        const canRetry = isRiverbankError(error) && error.canRetry
        // The error of a full log names the position of its slowest reader: while it moves, waiting helps.
        if (isRiverbankError(error, 'log_full') && error.message !== full) {
          full = error.message
          sinceMs = timer.nowMs()
        }
        if (!canRetry || timer.nowMs() - sinceMs + delayMs > retry.giveUpMs) {
          this.#options.onFailure(error)
          return
        }
      }
      this.#options.onRetry()
      await timer.sleep(delayMs, signal)
      if (signal.aborted) return
    }
  }
}
