import { afterEach, describe, expect, test } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import { QueryDeadline } from '../../../src/edges/duckdb/query-deadline.ts'
import { SqlPool, type SqlPoolOptions } from '../../../src/edges/duckdb/sql-pool.ts'
import type { SqlWorker } from '../../../src/edges/duckdb/sql-worker.ts'
import { eventually } from '../../support/wait.ts'

/** A process that is warm when the test says so. */
class FakeWorker implements SqlWorker {
  isAlive = true
  uses = 0
  readonly exited: Promise<void>
  warm: () => void = () => undefined
  fail: (error: Error) => void = () => undefined
  gone: () => void = () => undefined
  #ready: Promise<void>

  constructor() {
    this.exited = new Promise((resolve) => (this.gone = resolve))
    this.#ready = this.#becoming()
  }

  #becoming(): Promise<void> {
    const ready = new Promise<void>((resolve, reject) => {
      this.warm = resolve
      this.fail = reject
    })
    ready.catch(() => undefined)
    return ready
  }

  ready = () => this.#ready

  opens(): void {
    this.#ready = this.#becoming()
  }

  run = () => Promise.reject(new Error('no query is run here'))

  kill = () => {
    this.isAlive = false
    this.gone()
  }
}

const within = { deadlineMs: 20_000 }
const long = () => new QueryDeadline(60_000)
const pools: SqlPool[] = []

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close()
})

function poolOf(change: Partial<SqlPoolOptions> = {}) {
  const started: FakeWorker[] = []
  const start = () => {
    const worker = new FakeWorker()
    started.push(worker)
    return worker
  }
  const pool = new SqlPool({ concurrency: 1, spare: 1, queueMax: 4, recycleAfter: 100, start, ...change })
  pools.push(pool)
  return { pool, started }
}

const codeOf = (error: unknown) => (error as RiverbankError).code

describe('the processes of SQL', () => {
  test('one that is slow to start outlives the queries that gave up on it, and takes the next one', async () => {
    const { pool, started } = poolOf()
    for (let i = 0; i < 3; i += 1) {
      const error: unknown = await pool.acquire(new QueryDeadline(30), undefined).catch((late: unknown) => late)
      expect(error).toMatchObject({ code: 'sql_starting', canRetry: true })
      expect((error as Error).message).toContain('the query did not run')
    }
    const [first] = started
    expect(first?.isAlive).toBe(true)
    first?.warm()
    expect(await pool.acquire(long(), undefined)).toBe(first)
  })

  test('one that still opens files when its query is given up is offered again once it has', async () => {
    const { pool, started } = poolOf()
    started[0]?.warm()
    const worker = await pool.acquire(long(), undefined)
    expect(worker).toBe(started[0])
    started[0]?.opens()
    pool.release(worker, true)
    const next = pool.acquire(long(), undefined)
    expect(started[0]?.isAlive).toBe(true)
    started[0]?.warm()
    expect(await next).toBe(started[0])
  })

  test('a spare is started while a query runs, and takes the place of its process at once', async () => {
    const { pool, started } = poolOf()
    started[0]?.warm()
    const running = await pool.acquire(long(), undefined)
    expect(started).toHaveLength(2)
    started[1]?.warm()
    const next = pool.acquire(long(), undefined)
    pool.release(running, false)
    expect(await next).toBe(started[1])
    expect(started[0]?.isAlive).toBe(false)
  })

  test('more run at the same time only where more may', async () => {
    const { pool, started } = poolOf({ concurrency: 2, spare: 1 })
    started[0]?.warm()
    const one = await pool.acquire(long(), undefined)
    started[1]?.warm()
    await pool.acquire(long(), undefined)
    started[2]?.warm()
    expect(started).toHaveLength(3)
    const third = await pool.acquire(new QueryDeadline(30), undefined).catch(codeOf)
    expect(third).toBe('sql_busy')
    const fourth = pool.acquire(long(), undefined)
    pool.release(one, true)
    expect(started).toContain(await fourth)
    expect(started, 'none was started in vain').toHaveLength(3)
  })

  test('a query that waited too long in the queue learns that others ran, and that it did not', async () => {
    const { pool, started } = poolOf()
    started[0]?.warm()
    await pool.acquire(long(), undefined)
    await expect(pool.acquire(new QueryDeadline(30), undefined)).rejects.toMatchObject({
      code: 'sql_busy',
      canRetry: true,
      message: expect.stringContaining('the query did not run') as string,
    })
  })

  test('more than may wait are refused at once, the others are served in their order', async () => {
    const { pool, started } = poolOf({ queueMax: 2 })
    const order: number[] = []
    const waiting = [0, 1, 2, 3].map(async (i) => {
      const worker = await pool.acquire(long(), undefined)
      order.push(i)
      pool.release(worker, true)
    })
    expect(await waiting[3]?.catch(codeOf)).toBe('sql_busy')
    started[0]?.warm()
    await Promise.all(waiting.slice(0, 3))
    expect(order).toEqual([0, 1, 2])
  })

  test('the wait for a turn is taken from the same limit as the run', async () => {
    const { pool, started } = poolOf()
    started[0]?.warm()
    const running = await pool.acquire(long(), undefined)
    const deadline = new QueryDeadline(60_000)
    const next = pool.acquire(deadline, undefined)
    await eventually(() => deadline.leftMs() <= 59_900, within)
    pool.release(running, true)
    await next
    expect(deadline.leftMs()).toBeLessThanOrEqual(59_900)
  })

  test('one that cannot start is started again, and the queries are told why', async () => {
    const { pool, started } = poolOf()
    started[0]?.fail(new RiverbankError('sql_failed', 'there is no library'))
    const error: unknown = await pool.acquire(new QueryDeadline(50), undefined).catch((late: unknown) => late)
    expect(error).toMatchObject({ code: 'sql_starting', message: expect.stringContaining('no library') as string })
    await eventually(() => started.length === 2, within)
    started[1]?.warm()
    expect(await pool.acquire(long(), undefined)).toBe(started[1])
  })

  test('one that is killed from outside while it is idle is replaced', async () => {
    const { pool, started } = poolOf()
    started[0]?.warm()
    await started[0]?.ready()
    started[0]?.kill()
    await eventually(() => started.length === 2, within)
    started[1]?.warm()
    expect(await pool.acquire(long(), undefined)).toBe(started[1])
  })

  test('a query that nobody waits for gives its turn to the next one', async () => {
    const { pool, started } = poolOf()
    const abort = new AbortController()
    const given = pool.acquire(long(), abort.signal).catch(codeOf)
    const next = pool.acquire(long(), undefined)
    abort.abort()
    expect(await given).toBe('sql_cancelled')
    started[0]?.warm()
    expect(await next).toBe(started[0])
  })
})
