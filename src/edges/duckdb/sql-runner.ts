import { isRiverbankError, RiverbankError } from '../../base/errors.ts'
import type { SqlCatalog, SqlResult, SqlRunner } from '../../ports/sql.ts'
import { QueryDeadline } from './query-deadline.ts'
import { SqlPool } from './sql-pool.ts'
import { startWorker } from './sql-worker.ts'

export interface SqlRunnerOptions {
  /** Called before each query: the catalog that it may read. */
  readonly catalog: () => Promise<SqlCatalog>
  /** The limit of a whole query: the wait for its turn and for a warm process, and its run. */
  readonly timeoutMs: number
  readonly maxRows: number
  /** The size of a result as JSON. */
  readonly maxBytes: number
  readonly maxSqlBytes: number
  /** DuckDB's own limit; a process that takes more than twice as much and 256 MB ends. */
  readonly memoryMb: number
  /** Disk that a query may spill to. */
  readonly tempMb: number
  readonly threads: number
  /** Queries that run at the same time, each in a process of its own. */
  readonly concurrency: number
  /** Warm processes kept beside those that run. */
  readonly spare: number
  /** So many queries may wait; the runner refuses more with `sql_busy`. */
  readonly queueMax: number
  /** The runner replaces a process after so many queries. */
  readonly recycleAfter: number
  /**
   * The limit of a process to start, or to open a catalog's files. No query's deadline counts: a slow one gets warm
   * too.
   */
  readonly startTimeoutMs: number
}

/** Errors after which a process is as it was before. */
const harmless: ReadonlySet<string> = new Set(['sql_invalid', 'sql_forbidden', 'sql_starting', 'sql_cancelled'])

/** Limits that suit a service; the caller gives the rest. */
export const sqlRunnerDefaults = {
  maxBytes: 16 * 1024 * 1024,
  maxSqlBytes: 64 * 1024,
  tempMb: 1024,
  threads: 1,
  concurrency: 2,
  spare: 1,
  queueMax: 16,
  recycleAfter: 100,
  startTimeoutMs: 120_000,
} as const

/**
 * Runs unvetted SQL in processes of its own. It kills a process that ran into a limit, or that ran `recycleAfter`
 * queries, and a warm one takes its place. It starts one at once.
 */
export function createSqlRunner(options: SqlRunnerOptions): SqlRunner {
  const { threads, memoryMb, tempMb, maxRows, maxBytes, maxSqlBytes, timeoutMs } = options
  const limits = { threads, memoryMb, tempMb, maxRows, maxBytes }
  const heapMb = Math.max(256, memoryMb)
  const start = () => startWorker({ startTimeoutMs: options.startTimeoutMs, heapMb })
  const pool = new SqlPool({ ...options, start })

  async function run(sql: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<SqlResult> {
    if (Buffer.byteLength(sql) > maxSqlBytes) {
      throw new RiverbankError('sql_too_large', `a statement has at most ${maxSqlBytes} bytes`)
    }
    const deadline = new QueryDeadline(timeoutMs)
    const worker = await pool.acquire(deadline, signal)
    let isTrusted = true
    try {
      const catalog = await options.catalog()
      isTrusted = false
      const result = await worker.run({ sql, catalog, limits, deadline, signal })
      isTrusted = true
      return result
    } catch (error) {
      // A process whose query was cancelled is dead by then.
      if (isRiverbankError(error) && harmless.has(error.code)) isTrusted = true
      throw error
    } finally {
      pool.release(worker, isTrusted)
    }
  }

  return {
    run,
    close: () => pool.close(),
  }
}
