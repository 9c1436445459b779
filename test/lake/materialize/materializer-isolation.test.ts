import { expect, test } from 'vitest'
import { isRiverbankError, RiverbankError } from '../../../src/base/errors.ts'
import type { StoreMetadata } from '../../../src/isolation/trial.ts'
import type { MaterializerOptions } from '../../../src/lake/materialize/materializer.ts'
import { openTableWriter } from '../../../src/edges/duckdb/table-writer.ts'
import type { LogRecord } from '../../../src/ports/log.ts'
import type { TableWriter } from '../../../src/ports/tables.ts'
import { batchOf, claimOf, day, materializer, payment, record, topics, writerOptions } from '../support/feed.ts'
import { lake } from '../support/fresh-lake.ts'
import { ask, range } from '../support/read.ts'

const count = 12
const poisoned = 5
const records = range(0, count).map((i): LogRecord => record(topics.events, i, payment(`p${i}`, day + i)))

function storeMetadata() {
  const held = new Map<string, string>()
  const kept: StoreMetadata = {
    metadata: (name) => Promise.resolve(held.get(name) ?? null),
    replaceMetadata: (name, before, after) => {
      const is = held.get(name) ?? null
      if (is !== before) return Promise.resolve(is === after)
      if (after === null) held.delete(name)
      else held.set(name, after)
      return Promise.resolve(true)
    },
  }
  return { held, kept }
}

/** A writer that fails wherever it is given the poisoned event. */
async function spoiledWriter(error: () => Error): Promise<TableWriter> {
  const writer = await openTableWriter(writerOptions)
  return {
    ...writer,
    write: (path, columns, rows) => {
      const ids = columns.find(({ name }) => name === 'event_id')?.values as readonly (string | null)[]
      return ids.includes(`p${poisoned}`) ? Promise.reject(error()) : writer.write(path, columns, rows)
    },
  }
}

/** One process: from its claim to the end, or to what ended it. */
async function run(change: Partial<MaterializerOptions>): Promise<unknown> {
  const m = await materializer(lake, change)
  const assignment = claimOf(topics.events, 0, count)
  try {
    for (let next = await m.assigned(assignment); next < count;)
      next = await m.batch(assignment, batchOf(records.slice(next)))
    await m.flush()
    await m.released?.(assignment)
    return null
  } catch (error) {
    assignment.abort.abort()
    await m.released?.(assignment)
    return error
  } finally {
    await m.writer.close()
  }
}

const faults = async () => {
  const rows = await ask(lake, 'SELECT log_offset, error_code FROM events ORDER BY log_offset')
  expect(rows.map((row) => Number(row['log_offset']))).toEqual(range(0, count))
  return rows.filter((row) => row['error_code'] !== null).map((row) => [Number(row['log_offset']), row['error_code']])
}

test.each([
  ['a bug of ours', () => new TypeError('not a function')],
  ['a value that the database cannot take', () => new RiverbankError('lake_rows_refused', 'no integer')],
])('I6: a record that cannot be written for %s is kept as its bytes, and no other', async (_, error) => {
  const { held, kept } = storeMetadata()
  const writer = await spoiledWriter(error)
  // The batch is full at once: the error is the batch's own.
  const change = { storeMetadata: kept, writer, flushRows: 1 }
  const ends: unknown[] = []
  for (let end = await run(change); end !== null && ends.length < 10; end = await run(change)) ends.push(end)
  // Together, together after each was read alone, and twice alone.
  expect(ends).toHaveLength(4)
  expect(await faults()).toEqual([[poisoned, 'processing_crashed']])
  expect([...held]).toEqual([])
})

test('I6: an outage of the disk that ends the materializer ten times isolates nothing', async () => {
  const { held, kept } = storeMetadata()
  let isOut = true
  const outage = () => new RiverbankError('lake_write_failed', 'disk full', { canRetry: true })
  const spoiled = await spoiledWriter(outage)
  const whole = await openTableWriter(writerOptions)
  const change = {
    storeMetadata: kept,
    flushRows: 1,
    writer: { ...whole, write: (...all: Parameters<typeof whole.write>) => (isOut ? spoiled : whole).write(...all) },
  }
  for (let n = 0; n < 10; n += 1) {
    expect(isRiverbankError(await run(change), 'lake_write_failed')).toBe(true)
    expect([...held], 'no mark is left').toEqual([])
  }
  isOut = false
  expect(await run(change)).toBeNull()
  expect(await faults()).toEqual([])
})

test('I5: copying goes on where deaths cannot be counted', async () => {
  const away = () => Promise.reject(new RiverbankError('state_unavailable', 'away', { canRetry: true }))
  expect(await run({ storeMetadata: { metadata: away, replaceMetadata: away } })).toBeNull()
  expect(await faults()).toEqual([])
})
