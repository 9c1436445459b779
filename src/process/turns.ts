import { RiverbankError } from '../base/errors.ts'
import type { Sleeper } from './retry.ts'

/**
 * So many events of a processor are under way at once: two full batches, of which one waits for servers while the other
 * computes. More would only keep each other's events alive while garbage is collected: of four full batches side by
 * side each event cost 92 µs, of two 85 µs (`npm run bench -- --only batch`, with the limit changed by hand). A few small batches all fit.
 */
export const underWayMax = 1_000

interface Waiting {
  readonly records: number
  readonly begin: () => void
}

/** Lets batches run while their events are not too many together, first come first served. */
export class Turns {
  readonly #clock: Sleeper
  readonly #recordsMax: number
  #records = 0
  readonly #queue: Waiting[] = []

  constructor(recordsMax: number, clock: Sleeper) {
    this.#recordsMax = recordsMax
    this.#clock = clock
  }

  /**
   * Waits for the turn of a batch of so many records; the caller ends it. One that is larger than all that fits runs
   * alone. Errors: `fenced` when the signal is aborted while it waits.
   */
  async take(records: number, signal: AbortSignal): Promise<Turn> {
    if (this.#queue.length === 0 && this.#fits(records)) this.#records += records
    else await this.#wait(records, signal)
    let isOver = false
    const end = () => {
      if (isOver) return
      isOver = true
      this.#records -= records
      this.#beginNext()
    }
    // A batch that waits to try again holds up nobody; it goes on beside those that have a turn by then.
    const sleep = (ms: number, until: AbortSignal) => {
      end()
      return this.#clock.sleep(ms, until)
    }
    return { clock: { nowMs: () => this.#clock.nowMs(), sleep }, end }
  }

  #fits(records: number): boolean {
    return this.#records === 0 || this.#records + records <= this.#recordsMax
  }

  #wait(records: number, signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const begin = () => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const waiting = { records, begin }
      const giveUp = () => {
        this.#queue.splice(this.#queue.indexOf(waiting), 1)
        reject(new RiverbankError('fenced', 'the assignment ended before its batch began'))
        this.#beginNext()
      }
      this.#queue.push(waiting)
      if (signal.aborted) giveUp()
      else signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  #beginNext(): void {
    for (let [next] = this.#queue; next !== undefined && this.#fits(next.records); [next] = this.#queue) {
      this.#queue.shift()
      this.#records += next.records
      next.begin()
    }
  }
}

/** The right of one batch to run. */
export interface Turn {
  /** To sleep by between two tries: the turn is over then, and the batch goes on beside those that have one. */
  readonly clock: Sleeper
  /** More than once is once. */
  end(): void
}
