import { isRiverbankError, RiverbankError } from '../../core/errors.ts'
import type { SqlCatalog, SqlResult, SqlRunner } from '../../ports.ts'
import { SqlPool } from './sql-pool.ts'

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

/**
 * Unvetted SQL in processes of its own. A process that ran into a limit, or that ran `recycleAfter` queries, is
 * killed and replaced; the others are kept warm. One is started at once.
 */
export function createSqlRunner(options: SqlRunnerOptions): SqlRunner {
  const { threads, memoryMb, tempMb, maxRows, maxBytes, maxSqlBytes, timeoutMs } = options
  const limits = { threads, memoryMb, tempMb, maxRows, maxBytes }
  const pool = new SqlPool({ ...options, waitMs: timeoutMs, heapMb: Math.max(256, memoryMb) })

  async function run(sql: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<SqlResult> {
    if (Buffer.byteLength(sql) > maxSqlBytes) {
      throw new RiverbankError('sql_too_large', `a statement has at most ${maxSqlBytes} bytes`)
    }
    const worker = await pool.acquire(signal)
    let isTrusted = false
    try {
      await worker.ready
      const catalog = await options.catalog()
      const result = await worker.run({ sql, catalog, limits, timeoutMs, signal })
      isTrusted = true
      return result
    } catch (error) {
      isTrusted = isRiverbankError(error, 'sql_invalid') || isRiverbankError(error, 'sql_forbidden')
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
