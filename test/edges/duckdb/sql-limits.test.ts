import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createSqlRunner, sqlRunnerDefaults } from '../../../src/edges/duckdb/sql-runner.ts'
import type { SqlRunnerOptions } from '../../../src/edges/duckdb/sql-runner.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'
import { isRiverbankError, type RiverbankError } from '../../../src/base/errors.ts'
import type { Lake } from '../../../src/lake/commit/lake.ts'
import { sqlCatalogSource } from '../../../src/lake/tables/sql-catalog.ts'
import type { SqlResult, SqlRunner } from '../../../src/ports/sql.ts'
import { schema, tempFolder } from '../../lake/support/feed.ts'

const folder = tempFolder()
let lake: Lake
const open: SqlRunner[] = []

function runnerWith(change: Partial<SqlRunnerOptions> = {}): SqlRunner {
  const runner = createSqlRunner({
    ...sqlRunnerDefaults,
    catalog: sqlCatalogSource(lake, schema),
    timeoutMs: 1_000,
    maxRows: 10_000,
    memoryMb: 128,
    tempMb: 16,
    concurrency: 1,
    ...change,
  })
  open.push(runner)
  return runner
}

beforeAll(async () => {
  lake = await openLake({ dir: join(folder.dir, 'lake') })
})
afterEach(async () => {
  for (const runner of open.splice(0)) await runner.close()
})
afterAll(() => folder.remove())

/** A process may take longer to start than a query of these tests may take in all. */
async function onceReady(runner: SqlRunner, sql: string): Promise<SqlResult> {
  for (;;) {
    try {
      return await runner.run(sql)
    } catch (error) {
      if (!isRiverbankError(error, 'sql_starting')) throw error
    }
  }
}

const forEver = 'WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT count(*) FROM r'

test.each([
  forEver,
  'SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE hash(a.range, b.range) = 0',
  'SELECT sum(a.range * b.range) FROM range(100000) a JOIN range(100000) b ON a.range <> b.range',
])(
  'a query ends at its deadline, and the next one runs: %s',
  async (sql) => {
    const runner = runnerWith()
    await onceReady(runner, 'SELECT 1')
    await expect(onceReady(runner, sql)).rejects.toMatchObject({ code: 'sql_timeout', canRetry: true })
    expect((await onceReady(runner, 'SELECT 2')).rows).toEqual([[2]])
  },
  60_000,
)

test.each([
  ["SELECT string_agg(repeat(chr(97 + (range % 26)::INT), 100000), '') FROM range(100000)"],
  ["SELECT repeat('x', 2000000000)"],
  ['SELECT list(range) FROM range(100000000)'],
  ["SELECT repeat('x', 100000) FROM range(1000)"],
  ['SELECT * FROM range(50000000) a ORDER BY hash(range)'],
  ["SELECT regexp_replace(repeat('ab', 50000000), 'a', repeat('y', 100), 'g')"],
])(
  'a query that wants too much is ended, and the next one runs: %s',
  async (sql) => {
    const runner = runnerWith({ timeoutMs: 4_000 })
    await expect(onceReady(runner, sql)).rejects.toMatchObject({
      code: expect.stringMatching(/^sql_(too_large|timeout)$/) as string,
    })
    expect((await onceReady(runner, 'SELECT 2')).rows).toEqual([[2]])
  },
  60_000,
)

test('more queries than may wait are refused, the others take their turn', async () => {
  const runner = runnerWith({ queueMax: 2, timeoutMs: 60_000 })
  const runs = await Promise.allSettled([1, 2, 3, 4, 5].map((n) => runner.run(`SELECT ${n}`)))
  expect(runs.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'])
  expect(runs[4]).toMatchObject({ reason: { code: 'sql_busy', canRetry: true } })
}, 60_000)

test('a query that nobody waits for is killed', async () => {
  const runner = runnerWith({ timeoutMs: 60_000 })
  await onceReady(runner, 'SELECT 1')
  const abort = new AbortController()
  const running = runner.run(forEver, { signal: abort.signal })
  const waiting = runner.run('SELECT 1', { signal: abort.signal })
  setImmediate(() => abort.abort())
  const ended = await Promise.allSettled([running, waiting])
  expect(ended).toMatchObject([{ reason: { code: 'sql_cancelled' } }, { reason: { code: 'sql_cancelled' } }])
  expect((await runner.run('SELECT 3')).rows).toEqual([[3]])
}, 60_000)

test('a process is replaced after its share of queries, and nobody waits for that', async () => {
  const runner = runnerWith({ recycleAfter: 3, timeoutMs: 30_000 })
  await onceReady(runner, 'SELECT 1')
  for (let i = 0; i < 5; i += 1) expect((await onceReady(runner, `SELECT ${i}`)).rows).toEqual([[i]])
}, 60_000)

test('a closed runner answers with an error, also those who wait', async () => {
  const runner = runnerWith({ timeoutMs: 60_000 })
  const runs = [runner.run(forEver), runner.run('SELECT 1')]
  const settled = Promise.allSettled(runs)
  await runner.close()
  expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await expect(runner.run('SELECT 1')).rejects.toMatchObject({ code: 'sql_failed' })
}, 60_000)

test('files that take longer to open than a query may run are open in the end', async () => {
  const source = sqlCatalogSource(lake, schema)
  const slow = 'CREATE TABLE slow AS SELECT count(*) AS n FROM range(1000000000) WHERE range = 7'
  const catalog = async () => {
    const { setup, relations, ...rest } = await source()
    return { ...rest, setup: [...setup, slow], relations: [...relations, 'slow'] }
  }
  const runner = runnerWith({ timeoutMs: 700, catalog })
  const codes: string[] = []
  const rows = async () => {
    try {
      return (await runner.run('SELECT n FROM slow')).rows
    } catch (error) {
      codes.push((error as RiverbankError).code)
      return null
    }
  }
  let found = await rows()
  const started = performance.now()
  while (found === null && performance.now() - started < 50_000) found = await rows()
  expect(found).toEqual([[1]])
  expect([...new Set(codes)]).toEqual(['sql_starting'])
}, 60_000)

test('a query process has a warm one in its place when it is killed', async () => {
  const runner = runnerWith({ timeoutMs: 20_000, spare: 1 })
  await runner.run('SELECT 1')
  const abort = new AbortController()
  const killed = runner.run(forEver, { signal: abort.signal })
  const next = runner.run('SELECT 2')
  setImmediate(() => abort.abort())
  await expect(killed).rejects.toMatchObject({ code: 'sql_cancelled' })
  expect((await next).rows).toEqual([[2]])
}, 60_000)
