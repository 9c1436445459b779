import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loopClock } from '../../clock/loop-clock.ts'
import { RiverbankError } from '../../core/errors.ts'
import type { SqlCatalog, SqlResult } from '../../ports.ts'
import type { FromProcess, ToProcess } from './sql-messages.ts'
import type { SessionLimits } from './sql-session.ts'

export interface WorkerQuery {
  readonly sql: string
  readonly catalog: SqlCatalog
  readonly limits: Omit<SessionLimits, 'tempDir'>
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

/** One query process. After any doubt it is dead, and {@link SqlWorker.isAlive} says so. */
export interface SqlWorker {
  readonly isAlive: boolean
  /** Queries it has run. */
  readonly uses: number
  /** Resolves when it can take a query. */
  readonly ready: Promise<void>
  run(query: WorkerQuery): Promise<SqlResult>
  kill(): void
  /** Resolves when the process and its folder are gone. */
  readonly exited: Promise<void>
}

/** Of the build, beside this file. */
const entry = fileURLToPath(new URL('./sql-process.js', import.meta.url))

/** How long after its deadline a query may need to end by itself, before its process is killed. */
const graceMs = 250

/** Starts a query process in a folder of its own. */
export function startWorker(options: { readonly startTimeoutMs: number; readonly heapMb: number }): SqlWorker {
  const tempDir = mkdtempSync(join(tmpdir(), 'riverbank-sql-'))
  const child = spawnProcess(tempDir, options.heapMb)
  let isAlive = true
  let uses = 0
  let version: string | null = null
  const exited = new Promise<void>((resolve) => {
    const gone = () => {
      isAlive = false
      rmSync(tempDir, { recursive: true, force: true })
      resolve()
    }
    child.once('exit', gone)
    // A process that never was has no exit.
    child.once('error', gone)
  })
  const kill = () => {
    isAlive = false
    child.kill('SIGKILL')
  }
  const ready = answer(child, {
    timeoutMs: options.startTimeoutMs,
    signal: undefined,
    kill,
    exitError: () => new RiverbankError('sql_failed', 'the query process did not start', { canRetry: true }),
    begin: () => undefined,
  }).then(() => undefined)
  ready.catch(kill)

  async function run(query: WorkerQuery): Promise<SqlResult> {
    uses += 1
    const { sql, catalog, timeoutMs, signal } = query
    const message: ToProcess = {
      kind: 'query',
      sql,
      timeoutMs,
      limits: { ...query.limits, tempDir },
      catalog: catalog.version === version ? null : catalog,
    }
    version = catalog.version
    try {
      const reply = await answer(child, {
        timeoutMs: timeoutMs + graceMs,
        signal,
        kill,
        // Aborted by V8 or the system: memory is the only thing a query can take without being asked.
        exitError: () => new RiverbankError('sql_too_large', 'the query ended its process: it needs too much memory'),
        begin: () => child.send(message),
      })
      if (reply.kind !== 'result') throw new RiverbankError('sql_failed', `unexpected answer: ${reply.kind}`)
      return reply.result
    } catch (error) {
      version = null
      throw error
    }
  }

  return {
    get isAlive() {
      return isAlive
    },
    get uses() {
      return uses
    },
    ready,
    run,
    kill,
    exited,
  }
}

/** Starts a process with nothing of this one's environment: secrets in it are no business of a query. */
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
  /** What it means when the process ends instead of answering. */
  readonly exitError: () => RiverbankError
  readonly begin: () => unknown
}

/** The next message of the process; kills it when none comes in time, or when the caller gives up. */
function answer(child: ChildProcess, { timeoutMs, signal, kill, exitError, begin }: Exchange): Promise<FromProcess> {
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
      const reply = message as FromProcess
      end(() => {
        if (reply.kind !== 'error') resolve(reply)
        else reject(new RiverbankError(reply.code, reply.message, { canRetry: reply.canRetry }))
      })
    }
    const onExit = () => dead(exitError())
    const onError = (cause: Error) =>
      dead(new RiverbankError('sql_failed', 'the query process failed', { cause, canRetry: true }))
    const onAbort = () => dead(new RiverbankError('sql_cancelled', 'the query was given up'))
    const limit = loopClock.after(timeoutMs, () =>
      dead(new RiverbankError('sql_timeout', `no answer within ${timeoutMs} ms`, { canRetry: true })),
    )
    child.on('message', onMessage)
    child.on('exit', onExit)
    child.on('error', onError)
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted === true) onAbort()
    else begin()
  })
}
