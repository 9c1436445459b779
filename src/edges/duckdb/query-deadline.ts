import { loopClock } from '../../clock/loop-clock.ts'
import { RiverbankError } from '../../base/errors.ts'

export function givenUp(): RiverbankError {
  return new RiverbankError('sql_cancelled', 'the query was given up')
}

/** The one limit of a query: its turn, a process that is ready for it, and its run all take from it. */
export class QueryDeadline {
  readonly limitMs: number
  readonly #dueMs: number

  constructor(limitMs: number) {
    this.limitMs = limitMs
    this.#dueMs = loopClock.nowMs() + limitMs
  }

  /** Milliseconds that are left; 0 when it has passed. */
  leftMs(): number {
    return Math.max(0, this.#dueMs - loopClock.nowMs())
  }

  /**
   * What the work answers. Rejects with `late()` when the deadline passes first, and with `sql_cancelled` when the signal
   * is aborted first; the work goes on then, and its end is nobody's business.
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
