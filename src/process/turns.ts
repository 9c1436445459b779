import { RiverbankError } from '../base/errors.ts'
import type { Sleeper } from './retry.ts'

/**
 * So many batches of a processor are under way at once. One waits for servers while another computes; more would only
 * keep each other's events alive while garbage is collected: of four batches side by side each event cost 92 µs, of two
 * 85 µs (`npm run bench -- --only batch`).
 */
export const turnsMax = 2

/** Lets a few batches run at a time, first come first served. */
export class Turns {
  readonly #clock: Sleeper
  #free: number
  readonly #queue: (() => void)[] = []

  constructor(count: number, clock: Sleeper) {
    this.#free = count
    this.#clock = clock
  }

  /** Waits for a turn; the caller ends it. Errors: `fenced` when the signal is aborted before. */
  async take(signal: AbortSignal): Promise<Turn> {
    if (this.#free > 0) this.#free -= 1
    else await this.#wait(signal)
    let isOver = false
    const end = () => {
      if (!isOver) this.#next()
      isOver = true
    }
    // A batch that waits to try again holds up nobody; it goes on beside those that have a turn by then.
    const sleep = (ms: number, until: AbortSignal) => {
      end()
      return this.#clock.sleep(ms, until)
    }
    return { clock: { nowMs: () => this.#clock.nowMs(), sleep }, end }
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const giveUp = () => {
        this.#queue.splice(this.#queue.indexOf(begin), 1)
        reject(new RiverbankError('fenced', 'the assignment ended before its batch began'))
      }
      const begin = () => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      this.#queue.push(begin)
      if (signal.aborted) giveUp()
      else signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  #next(): void {
    const begin = this.#queue.shift()
    if (begin === undefined) this.#free += 1
    else begin()
  }
}

/** The right of one batch to run. */
export interface Turn {
  /** To sleep by between two tries: the turn is over then, and the batch goes on beside those that have one. */
  readonly clock: Sleeper
  /** More than once is once. */
  end(): void
}
