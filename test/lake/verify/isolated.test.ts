import { expect, test } from 'vitest'
import { openQuery } from '../../../src/edges/duckdb/query.ts'
import { LakeHistory } from '../../../src/lake/rebuild/history.ts'
import { catalogOf } from '../../../src/lake/tables/sql-catalog.ts'
import type { LogRecord } from '../../../src/ports/log.ts'
import { day, topics } from '../support/feed.ts'
import { folder, lake } from '../support/fresh-lake.ts'
import { pay, plan, positionsOf, run, schema, verify, write } from './support/world.ts'

const hour = 3_600_000
const fault = { code: 'processing_crashed', detail: 'the process ended' } as const

/** A lake whose materializer has isolated the second of three payments, which was scored. */
async function isolated() {
  const content = await run([0, 1, 2].map((i) => pay(`p${i}`, day + i * hour, day + i * hour)))
  const events = content.events.map((record, i): LogRecord => (i === 1 ? { ...record, fault } : record))
  await write(lake, { ...content, events })
  return content
}

test('an event of which the lake has the bytes alone is reported as that, and not as a wrong cause', async () => {
  const content = await isolated()
  const { I1 } = (await verify(lake, { positions: positionsOf(content) })).invariants
  expect(I1.counts).toMatchObject({ 'kept as bytes alone': 1, invalid: 0 })
  const ofCauses = Object.entries(I1.byCode).filter(([code]) => /cause/.test(code))
  expect(ofCauses).toEqual([['cause_isolated', 1]])
})

test('states are not made without an event of which the lake has the bytes alone', async () => {
  const content = await isolated()
  const { setup } = catalogOf(lake, await lake.snapshot(), schema)
  const query = await openQuery({ threads: 1, memoryMb: 512, tempDir: folder.dir, tempMb: 512, setup })
  const { committed } = positionsOf(content)
  const fromWhole = <Result>(read: () => Promise<Result>) => read()
  const options = { query, plan, schema, topics, committed, fromWhole }
  await expect(LakeHistory.open(options)).rejects.toMatchObject({ code: 'lake_incomplete' })
  query.close()
})
