import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loopClock } from '../../clock/loop-clock.ts'
import { assert, RiverbankError } from '../../base/errors.ts'
import type { SqlCatalog, SqlResult } from '../../ports/sql.ts'
import { givenUp, type QueryDeadline } from './query-deadline.ts'
import { isFromProcess, type FromProcess, type ToProcess } from './sql-messages.ts'
import type { SessionLimits } from './sql-session.ts'

export interface WorkerQuery {
  readonly sql: string
  readonly catalog: SqlCatalog
  readonly limits: Omit<SessionLimits, 'tempDir'>
  readonly deadline: QueryDeadline
  readonly signal: AbortSignal | undefined
}

/** One query process. After any doubt it is dead, and {@link SqlWorker.isAlive} says so. */
export interface SqlWorker {
  readonly isAlive: boolean
  /** The number of queries it has run. */
  readonly uses: number
  /** Resolves when it can take a query: it has started, and has opened its catalog. Rejects when it died of it. */
  ready(): Promise<unknown>
  /**
   * Rejects with `sql_starting` when the catalog was not open at the deadline; the process goes on opening it. Rejects
   * with `sql_timeout` when the query ran until the deadline; its process may be dead.
   */
  run(query: WorkerQuery): Promise<SqlResult>
  kill(): void
  /** Resolves when the process and its folder are gone. */
  readonly exited: Promise<void>
}

/** The program of the process, beside this file in the build. */
const entry = fileURLToPath(new URL('./sql-process.js', import.meta.url))

/** A query may take so long after its deadline to end by itself; then the worker kills its process. */
const graceMs = 250

/** Starts a query process in a folder of its own. */
export function startWorker(options: { readonly startTimeoutMs: number; readonly heapMb: number }): SqlWorker {
  const tempDir = mkdtempSync(join(tmpdir(), 'riverbank-sql-'))
  const child = spawnProcess(tempDir, options.heapMb)
  let isAlive = true
  let uses = 0
  let version: string | null = null
  const exited = exitOf(child).then(() => {
    isAlive = false
    rmSync(tempDir, { recursive: true, force: true })
  })
  const kill = () => {
    isAlive = false
    child.kill('SIGKILL')
  }
  const warmed = (begin: () => unknown) => answer(child, { ...warming(options.startTimeoutMs), kill, begin })
  let ready: Promise<unknown> = warmed(() => undefined)
  ready.catch(kill)

  /** Opens the query's catalog. If that takes longer than the query may, the next query finds it open. */
  async function open({ catalog, deadline, signal }: WorkerQuery, limits: SessionLimits): Promise<void> {
    version = null
    const message: ToProcess = { kind: 'open', catalog, limits }
    const opening = warmed(() => child.send(message)).then(() => {
      version = catalog.version
    })
    // A missing file of the lake is no fault of the process.
    ready = opening.catch((error: unknown) => {
      if (!isAlive) throw error
    })
    ready.catch(() => undefined)
    const what = `the relations were not ready within ${deadline.limitMs} ms: the query did not run`
    const late = () => new RiverbankError('sql_starting', what, { canRetry: true })
    await deadline.bound(opening, signal, late)
  }

  async function run(query: WorkerQuery): Promise<SqlResult> {
    uses += 1
    const { sql, catalog, deadline, signal } = query
    const limits = { ...query.limits, tempDir }
    if (catalog.version !== version) await open(query, limits)
    const timeoutMs = Math.max(1, Math.round(deadline.leftMs()))
    const message: ToProcess = { kind: 'query', sql, timeoutMs, limits }
    const reply = await answer(child, { ...running(timeoutMs), signal, kill, begin: () => child.send(message) })
    if (reply.kind !== 'result') throw new RiverbankError('sql_failed', `unexpected answer: ${reply.kind}`)
    return reply.result
  }

  return {
    get isAlive() {
      return isAlive
    },
    get uses() {
      return uses
    },
    ready: () => ready,
    run,
    kill,
    exited,
  }
}

/** The errors of a process that does not get warm. */
function warming(timeoutMs: number) {
  return {
    timeoutMs,
    signal: undefined,
    lateError: () => new RiverbankError('sql_starting', `not ready within ${timeoutMs} ms`, { canRetry: true }),
    exitError: () => new RiverbankError('sql_failed', 'the query process did not start', { canRetry: true }),
  }
}

/** The errors of a process that does not answer a query. */
function running(timeoutMs: number) {
  const late = `no answer ${graceMs} ms after the query had run for ${timeoutMs} ms`
  return {
    timeoutMs: timeoutMs + graceMs,
    lateError: () => new RiverbankError('sql_timeout', late, { canRetry: true }),
    // V8 or the system aborted it: only too much memory makes them do so.
    exitError: () => new RiverbankError('sql_too_large', 'the query ended its process: it needs too much memory'),
  }
}

function exitOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    // A process that never started has no exit.
    child.once('error', () => resolve())
  })
}

/** Starts a process without this one's environment: a query must not read the secrets in it. */
function spawnProcess(tempDir: string, heapMb: number): ChildProcess {
  return fork(entry, [], {
    cwd: tempDir,
    env: { TZ: 'UTC', HOME: tempDir, TMPDIR: tempDir },
    execArgv: [`--max-old-space-size=${heapMb}`],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    serialization: 'advanced',
  })
}

interface Exchange {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly kill: () => void
  readonly lateError: () => RiverbankError
  /** The error of a process that ends instead of answering. */
  readonly exitError: () => RiverbankError
  readonly begin: () => unknown
}

/** Waits for the next message of the process; kills it when none comes in time, or when the caller gives up. */
function answer(child: ChildProcess, exchange: Exchange): Promise<FromProcess> {
  const { timeoutMs, signal, kill, lateError, exitError, begin } = exchange
  return new Promise((resolve, reject) => {
    const end = (act: () => void) => {
      limit.cancel()
      child.off('message', onMessage)
      child.off('exit', onExit)
      child.off('error', onError)
      signal?.removeEventListener('abort', onAbort)
      act()
    }
    const dead = (error: RiverbankError) => {
      kill()
      end(() => reject(error))
    }
    const onMessage = (message: unknown) => {
      assert(isFromProcess(message), 'a query process answers with messages')
      const reply = message
      end(() => {
        if (reply.kind !== 'error') resolve(reply)
        else reject(new RiverbankError(reply.code, reply.message, { canRetry: reply.canRetry }))
      })
    }
    const onExit = () => dead(exitError())
    const onError = (cause: Error) =>
      dead(new RiverbankError('sql_failed', 'the query process failed', { cause, canRetry: true }))
    const onAbort = () => dead(givenUp())
    const limit = loopClock.after(timeoutMs, () => dead(lateError()))
    child.on('message', onMessage)
    child.on('exit', onExit)
    child.on('error', onError)
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted === true) onAbort()
    else begin()
  })
}
