import { assert, isRiverbankError, RiverbankError } from '../../base/errors.ts'
import type { SqlResult } from '../../ports/sql.ts'
import { isToProcess, type FromProcess, type ToProcess } from './sql-messages.ts'
import { openSession, warmUp } from './sql-session.ts'
import type { SessionLimits, SqlSession } from './sql-session.ts'

/** The process that runs unvetted SQL, one query at a time; sql-runner.ts starts it, and ends it when in doubt. */

let session: SqlSession | null = null

async function act(message: ToProcess): Promise<FromProcess> {
  const watch = setInterval(() => exitWhenTooLarge(message.limits), 50)
  try {
    if (message.kind === 'query') return { kind: 'result', result: await run(message) }
    session?.close()
    session = null
    session = await openSession(message.catalog, message.limits)
    return { kind: 'opened' }
  } finally {
    clearInterval(watch)
  }
}

async function run({ sql, timeoutMs }: ToProcess & { readonly kind: 'query' }): Promise<SqlResult> {
  if (session === null) throw new RiverbankError('sql_failed', 'the process has no catalog')
  const late = new AbortController()
  const deadline = setTimeout(() => {
    late.abort()
    session?.interrupt()
  }, timeoutMs)
  try {
    return await session.query(sql)
  } catch (error) {
    if (!late.signal.aborted) throw error
    throw new RiverbankError('sql_timeout', `the query was ended after it had run for ${timeoutMs} ms`, {
      canRetry: true,
    })
  } finally {
    clearTimeout(deadline)
  }
}

/** DuckDB's limit does not count everything it allocates; this one counts the memory of the whole process. */
function exitWhenTooLarge({ memoryMb }: SessionLimits): void {
  if (process.memoryUsage.rss() <= (2 * memoryMb + 256) * 1024 * 1024) return
  const message = 'the query needs too much memory'
  const last: FromProcess = { kind: 'error', code: 'sql_too_large', message, canRetry: false }
  process.send?.(last, () => process.exit(1))
}

/** Gives DuckDB's error a stable code; the message stays, because it names the mistake in the query. */
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
  assert(isToProcess(message), 'the runner sends messages')
  act(message).then(reply, (error: unknown) => {
    const known = classified(error)
    reply({ kind: 'error', code: known.code, message: known.message, canRetry: known.canRetry })
  })
})
process.on('disconnect', () => process.exit(0))
// Loads the library and runs it once, before the first query waits for it.
await warmUp()
reply({ kind: 'ready' })
