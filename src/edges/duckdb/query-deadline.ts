import { loopClock } from '../../clock/loop-clock.ts'
import { RiverbankError } from '../../base/errors.ts'

export function givenUp(): RiverbankError {
  return new RiverbankError('sql_cancelled', 'the query was given up')
}

/** The one time limit of a query: the wait for its turn and for a warm process, and its run, all count. */
export class QueryDeadline {
  readonly limitMs: number
  readonly #dueMs: number

  constructor(limitMs: number) {
    this.limitMs = limitMs
    this.#dueMs = loopClock.nowMs() + limitMs
  }

  /** The milliseconds left; 0 when the deadline has passed. */
  leftMs(): number {
    return Math.max(0, this.#dueMs - loopClock.nowMs())
  }

  /**
   * Resolves with the result of the work. Rejects with `late()` when the deadline passes first, and with
   * `sql_cancelled` when the signal is aborted first; the work then goes on, and its result is ignored.
   */
  async bound<Result>(
    work: Promise<Result>,
    signal: AbortSignal | undefined,
    late: () => RiverbankError,
  ): Promise<Result> {
    work.catch(() => undefined)
    let end: () => void = () => undefined
    const ended = new Promise<never>((_resolve, reject) => {
      const limit = loopClock.after(this.leftMs(), () => reject(late()))
      const onAbort = () => reject(givenUp())
      signal?.addEventListener('abort', onAbort)
      end = () => {
        limit.cancel()
        signal?.removeEventListener('abort', onAbort)
      }
      if (signal?.aborted === true) onAbort()
    })
    try {
      return await Promise.race([work, ended])
    } finally {
      end()
    }
  }
}
