import { RiverbankError } from '../../base/errors.ts'
import type { QueryDeadline } from './query-deadline.ts'
import type { SqlWorker } from './sql-worker.ts'

export interface SqlPoolOptions {
  /** Queries that run at the same time. */
  readonly concurrency: number
  /** Warm processes beyond the busy ones: for the next query, or in place of a process that must end. */
  readonly spare: number
  readonly queueMax: number
  readonly recycleAfter: number
  readonly start: () => SqlWorker
}

interface Waiting {
  readonly begin: (worker: SqlWorker) => void
  readonly giveUp: (error: RiverbankError) => void
}

/** The pause before the next start after a failed one. */
const restartMs = { min: 200, max: 10_000 } as const

/**
 * Query processes, each with one query at a time; the queue in front of them is first come, first served. The pool
 * gives a process away once it is warm, and the first query in the queue takes it: no query's deadline ends a start.
 */
export class SqlPool {
  private readonly options: SqlPoolOptions
  private readonly workers = new Set<SqlWorker>()
  private readonly warm: SqlWorker[] = []
  private readonly queue: Waiting[] = []
  private readonly running = new Set<SqlWorker>()
  private failures = 0
  private lastFailure: string | null = null
  private restart: NodeJS.Timeout | null = null
  private isClosed = false

  /** Starts one process at once, so that the first query finds it warm. */
  constructor(options: SqlPoolOptions) {
    this.options = options
    this.begin()
  }

  /**
   * Resolves with a warm process. Rejects with `sql_busy` when too many queries wait, or all processes were busy until
   * the deadline; with `sql_starting` when there was room for the query, but no process was warm in time.
   */
  async acquire(deadline: QueryDeadline, signal: AbortSignal | undefined): Promise<SqlWorker> {
    if (this.isClosed) throw closed()
    let entry: Waiting | null = null
    const turn = new Promise<SqlWorker>((resolve, reject) => {
      entry = { begin: resolve, giveUp: reject }
      this.queue.push(entry)
    })
    this.dispatch()
    // A query that only waits for a process to become warm has its turn already.
    const room = this.options.concurrency - this.running.size
    if (this.queue.length > this.options.queueMax + room) {
      this.leave(entry)
      const what = `${this.queue.length} queries are waiting already: this one did not run`
      throw new RiverbankError('sql_busy', what, { canRetry: true })
    }
    try {
      return await deadline.bound(turn, signal, () => this.tooLate(deadline))
    } catch (error) {
      // The query may have got its turn in the moment in which it was given up.
      if (!this.leave(entry)) void turn.then((worker) => this.release(worker, true)).catch(() => undefined)
      throw error
    }
  }

  /** Takes a process back: keeps it, or replaces one in doubt or worn by a warm one. */
  release(worker: SqlWorker, isTrusted: boolean): void {
    this.running.delete(worker)
    if (this.isClosed || !isTrusted || !worker.isAlive || worker.uses >= this.options.recycleAfter) this.discard(worker)
    else this.offerOnceReady(worker)
    this.dispatch()
  }

  /** Kills every process, running or not; resolves when they are gone. */
  async close(): Promise<void> {
    this.isClosed = true
    if (this.restart !== null) clearTimeout(this.restart)
    for (const { giveUp } of this.queue.splice(0)) giveUp(closed())
    const workers = [...this.workers]
    for (const worker of workers) this.discard(worker)
    await Promise.all(workers.map(({ exited }) => exited))
  }

  /** Hands warm processes to the queries that wait longest, and starts those needed next. */
  private dispatch(): void {
    if (this.isClosed) return
    while (this.running.size < this.options.concurrency && this.queue.length > 0) {
      const worker = this.warm.pop()
      if (worker === undefined) break
      if (!worker.isAlive) continue
      this.running.add(worker)
      this.queue.shift()?.begin(worker)
    }
    if (this.restart !== null) return
    const { concurrency, spare } = this.options
    const wanted = Math.min(this.queue.length, concurrency - this.running.size) + spare
    while (this.workers.size - this.running.size < wanted) this.begin()
  }

  private begin(): void {
    const worker = this.options.start()
    this.workers.add(worker)
    this.offerOnceReady(worker)
    void worker.exited.then(() => {
      // Killed from outside, or by the system, while no query used it.
      if (this.running.has(worker) || !this.workers.has(worker)) return
      this.discard(worker)
      this.beginAgainLater()
    })
  }

  private offerOnceReady(worker: SqlWorker): void {
    worker.ready().then(
      () => {
        if (!this.workers.has(worker)) return
        this.failures = 0
        this.warm.push(worker)
        this.dispatch()
      },
      (error: unknown) => {
        this.discard(worker)
        this.lastFailure = error instanceof Error ? error.message : String(error)
        this.beginAgainLater()
      },
    )
  }

  private beginAgainLater(): void {
    if (this.isClosed || this.restart !== null) return
    const delayMs = Math.min(restartMs.max, restartMs.min * 2 ** this.failures)
    this.failures += 1
    this.restart = setTimeout(() => {
      this.restart = null
      this.dispatch()
    }, delayMs).unref()
  }

  private discard(worker: SqlWorker): void {
    this.workers.delete(worker)
    const at = this.warm.indexOf(worker)
    if (at >= 0) this.warm.splice(at, 1)
    worker.kill()
  }

  private leave(entry: Waiting | null): boolean {
    const at = this.queue.findIndex((one) => one === entry)
    if (at >= 0) this.queue.splice(at, 1)
    return at >= 0
  }

  private tooLate({ limitMs }: QueryDeadline): RiverbankError {
    const options = { canRetry: true }
    if (this.running.size >= this.options.concurrency) {
      return new RiverbankError('sql_busy', `others ran for all of the ${limitMs} ms: the query did not run`, options)
    }
    const why = this.failures > 0 ? ` (${this.lastFailure})` : ''
    const what = `no query process was ready within ${limitMs} ms${why}: the query did not run`
    return new RiverbankError('sql_starting', what, options)
  }
}

function closed(): RiverbankError {
  return new RiverbankError('sql_failed', 'the SQL runner is closed')
}
