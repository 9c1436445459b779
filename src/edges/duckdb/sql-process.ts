import { isRiverbankError, RiverbankError } from '../../core/errors.ts'
import type { SqlResult } from '../../ports.ts'
import type { FromProcess, ToProcess } from './sql-messages.ts'
import { openSession } from './sql-session.ts'
import type { SessionLimits, SqlSession } from './sql-session.ts'

/** The process that runs unvetted SQL, one query at a time; started by sql-runner.ts, and ended by it when in doubt. */

let session: SqlSession | null = null

async function run({ sql, catalog, limits, timeoutMs }: ToProcess): Promise<SqlResult> {
  const watch = setInterval(() => exitWhenTooLarge(limits), 50)
  const late = new AbortController()
  const deadline = setTimeout(() => {
    late.abort()
    session?.interrupt()
  }, timeoutMs)
  try {
    if (catalog !== null) {
      session?.close()
      session = null
      session = await openSession(catalog, limits)
    }
    if (session === null) throw new RiverbankError('sql_failed', 'the process has no catalog')
    return await session.query(sql)
  } catch (error) {
    if (late.signal.aborted)
      throw new RiverbankError('sql_timeout', `the query ran longer than ${timeoutMs} ms`, { canRetry: true })
    throw classified(error)
  } finally {
    clearInterval(watch)
    clearTimeout(deadline)
  }
}

/** DuckDB's limit does not count everything it allocates; this one counts what the system sees. */
function exitWhenTooLarge({ memoryMb }: SessionLimits): void {
  if (process.memoryUsage.rss() <= (2 * memoryMb + 256) * 1024 * 1024) return
  const message = 'the query needs too much memory'
  const last: FromProcess = { kind: 'error', code: 'sql_too_large', message, canRetry: false }
  process.send?.(last, () => process.exit(1))
}

/** What DuckDB says becomes a stable code; the message stays, because it names the mistake in the query. */
function classified(error: unknown): RiverbankError {
  if (isRiverbankError(error)) return error
  const message = error instanceof Error ? error.message : String(error)
  if (/^Out of Memory Error|^IO Error.*max_temp_directory_size|failed to allocate/i.test(message)) {
    return new RiverbankError('sql_too_large', 'the query needs too much memory', { cause: error })
  }
  if (/^(Parser|Binder|Catalog|Conversion|Invalid Input|Invalid Type|Out of Range|Mismatch Type) Error/.test(message)) {
    return new RiverbankError('sql_invalid', message, { cause: error })
  }
  if (/^Permission Error/.test(message)) return new RiverbankError('sql_forbidden', message, { cause: error })
  return new RiverbankError('sql_failed', message, { cause: error })
}

function reply(message: FromProcess): void {
  process.send?.(message)
}

process.on('message', (message) => {
  run(message as ToProcess).then(
    (result) => reply({ kind: 'result', result }),
    (error: unknown) => {
      const known = classified(error)
      reply({ kind: 'error', code: known.code, message: known.message, canRetry: known.canRetry })
    },
  )
})
process.on('disconnect', () => process.exit(0))
reply({ kind: 'ready' })
