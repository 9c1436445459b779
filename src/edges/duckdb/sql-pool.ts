import { loopClock } from '../../clock/loop-clock.ts'
import { RiverbankError } from '../../core/errors.ts'
import { startWorker } from './sql-worker.ts'
import type { SqlWorker } from './sql-worker.ts'

export interface SqlPoolOptions {
  readonly concurrency: number
  readonly queueMax: number
  /** How long a query may wait for a process. */
  readonly waitMs: number
  readonly recycleAfter: number
  readonly startTimeoutMs: number
  readonly heapMb: number
}

interface Waiting {
  readonly start: (worker: SqlWorker) => void
  readonly giveUp: (error: RiverbankError) => void
}

/** Query processes, each with one query at a time; the queue in front of them is first come, first served. */
export class SqlPool {
  private readonly options: SqlPoolOptions
  private readonly workers = new Set<SqlWorker>()
  private readonly idle: SqlWorker[] = []
  private readonly queue: Waiting[] = []
  private isClosed = false

  /** Starts one process, so that the first query finds it warm. */
  constructor(options: SqlPoolOptions) {
    this.options = options
    this.idle.push(this.start())
  }

  /** Rejects with `sql_busy` when too many wait, or when this one has waited too long. */
  async acquire(signal: AbortSignal | undefined): Promise<SqlWorker> {
    if (this.isClosed) throw closed()
    for (let worker = this.idle.pop(); worker !== undefined; worker = this.idle.pop()) {
      if (worker.isAlive) return worker
      this.discard(worker)
    }
    if (this.workers.size < this.options.concurrency) return this.start()
    if (this.queue.length >= this.options.queueMax) {
      throw new RiverbankError('sql_busy', `${this.queue.length} queries are waiting already`, { canRetry: true })
    }
    return this.wait(signal)
  }

  /** Hands the process, or its replacement when it is in doubt or worn, to whoever waits longest. */
  release(worker: SqlWorker, isTrusted: boolean): void {
    let next = worker
    if (this.isClosed || !isTrusted || !worker.isAlive || worker.uses >= this.options.recycleAfter) {
      this.discard(worker)
      if (this.isClosed) return
      next = this.start()
    }
    const waiting = this.queue.shift()
    if (waiting === undefined) this.idle.push(next)
    else waiting.start(next)
  }

  /** Kills every process, running or not; resolves when they are gone. */
  async close(): Promise<void> {
    this.isClosed = true
    for (const { giveUp } of [...this.queue]) giveUp(closed())
    const workers = [...this.workers]
    for (const worker of workers) this.discard(worker)
    await Promise.all(workers.map(({ exited }) => exited))
  }

  private start(): SqlWorker {
    const worker = startWorker(this.options)
    this.workers.add(worker)
    return worker
  }

  private discard(worker: SqlWorker): void {
    this.workers.delete(worker)
    worker.kill()
  }

  private wait(signal: AbortSignal | undefined): Promise<SqlWorker> {
    return new Promise((resolve, reject) => {
      const end = () => {
        limit.cancel()
        signal?.removeEventListener('abort', onAbort)
        const at = this.queue.indexOf(entry)
        if (at >= 0) this.queue.splice(at, 1)
      }
      const entry: Waiting = {
        start: (worker) => {
          end()
          resolve(worker)
        },
        giveUp: (error) => {
          end()
          reject(error)
        },
      }
      const onAbort = () => entry.giveUp(new RiverbankError('sql_cancelled', 'the query was given up'))
      const onTime = () =>
        entry.giveUp(new RiverbankError('sql_busy', 'no process became free in time', { canRetry: true }))
      const limit = loopClock.after(this.options.waitMs, onTime)
      signal?.addEventListener('abort', onAbort)
      this.queue.push(entry)
    })
  }
}

function closed(): RiverbankError {
  return new RiverbankError('sql_failed', 'the SQL runner is closed')
}
