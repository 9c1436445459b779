import { isRiverbankError, RiverbankError } from '../../core/errors.ts'
import type { SqlCatalog, SqlResult, SqlRunner } from '../../ports.ts'
import { startWorker } from './sql-worker.ts'
import type { SqlWorker } from './sql-worker.ts'

export interface SqlRunnerOptions {
  /** Asked before each query: what it may read. */
  readonly catalog: () => Promise<SqlCatalog>
  readonly timeoutMs: number
  readonly maxRows: number
  /** Of a result, as JSON. */
  readonly maxBytes: number
  readonly maxSqlBytes: number
  /** DuckDB's own limit; the process may need twice as much and 256 MB, and is ended beyond that. */
  readonly memoryMb: number
  /** Disk that a query may spill to. */
  readonly tempMb: number
  readonly threads: number
  /** Queries that run at the same time, each in a process of its own. */
  readonly concurrency: number
  /** Queries that wait, each at most `timeoutMs`; more are refused with `sql_busy`. */
  readonly queueMax: number
  /** Queries after which a process is replaced. */
  readonly recycleAfter: number
  readonly startTimeoutMs: number
}

/** Limits that suit a service; the caller gives the rest. */
export const sqlRunnerDefaults = {
  maxBytes: 16 * 1024 * 1024,
  maxSqlBytes: 64 * 1024,
  tempMb: 1024,
  threads: 1,
  concurrency: 2,
  queueMax: 16,
  recycleAfter: 100,
  startTimeoutMs: 20_000,
} as const

interface Waiting {
  readonly start: (worker: SqlWorker) => void
  readonly giveUp: (error: RiverbankError) => void
}

/**
 * Unvetted SQL in processes of its own. A process that ran into a limit, or that ran `recycleAfter` queries, is
 * killed and replaced; the others are kept warm. One is started at once.
 */
export function createSqlRunner(options: SqlRunnerOptions): SqlRunner {
  const { threads, memoryMb, tempMb, maxRows, maxBytes } = options
  const workers = new Set<SqlWorker>()
  const idle: SqlWorker[] = []
  const queue: Waiting[] = []
  let isClosed = false

  function start(): SqlWorker {
    const worker = startWorker({ startTimeoutMs: options.startTimeoutMs, heapMb: Math.max(256, memoryMb) })
    workers.add(worker)
    return worker
  }

  function discard(worker: SqlWorker): void {
    workers.delete(worker)
    worker.kill()
  }

  async function acquire(signal: AbortSignal | undefined): Promise<SqlWorker> {
    for (let worker = idle.pop(); worker !== undefined; worker = idle.pop()) {
      if (worker.isAlive) return worker
      discard(worker)
    }
    if (workers.size < options.concurrency) return start()
    if (queue.length >= options.queueMax) {
      throw new RiverbankError('sql_busy', `${queue.length} queries are waiting already`, { canRetry: true })
    }
    return wait(signal)
  }

  function wait(signal: AbortSignal | undefined): Promise<SqlWorker> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        const at = queue.indexOf(entry)
        if (at >= 0) queue.splice(at, 1)
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
      const timer = setTimeout(
        () => entry.giveUp(new RiverbankError('sql_busy', 'no process became free in time', { canRetry: true })),
        options.timeoutMs,
      )
      signal?.addEventListener('abort', onAbort)
      queue.push(entry)
    })
  }

  /** Hands the process, or its replacement, to whoever waits longest. */
  function release(worker: SqlWorker, isTrusted: boolean): void {
    let next = worker
    if (isClosed || !isTrusted || !worker.isAlive || worker.uses >= options.recycleAfter) {
      discard(worker)
      if (isClosed) return
      next = start()
    }
    const waiting = queue.shift()
    if (waiting === undefined) idle.push(next)
    else waiting.start(next)
  }

  async function run(sql: string, call: { readonly signal?: AbortSignal } = {}): Promise<SqlResult> {
    if (isClosed) throw new RiverbankError('sql_failed', 'the SQL runner is closed')
    if (Buffer.byteLength(sql) > options.maxSqlBytes) {
      throw new RiverbankError('sql_too_large', `a statement has at most ${options.maxSqlBytes} bytes`)
    }
    const worker = await acquire(call.signal)
    let isTrusted = false
    try {
      await worker.ready
      const catalog = await options.catalog()
      const result = await worker.run({
        sql,
        catalog,
        limits: { threads, memoryMb, tempMb, maxRows, maxBytes },
        timeoutMs: options.timeoutMs,
        signal: call.signal,
      })
      isTrusted = true
      return result
    } catch (error) {
      isTrusted = isRiverbankError(error, 'sql_invalid') || isRiverbankError(error, 'sql_forbidden')
      throw error
    } finally {
      release(worker, isTrusted)
    }
  }

  async function close(): Promise<void> {
    isClosed = true
    for (const { giveUp } of [...queue]) giveUp(new RiverbankError('sql_failed', 'the SQL runner is closed'))
    for (const worker of [...workers]) discard(worker)
    await Promise.resolve()
  }

  idle.push(start())
  return { run, close }
}
