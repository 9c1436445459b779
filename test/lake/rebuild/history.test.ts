import { expect, test } from 'vitest'
import { openQuery } from '../../../src/edges/duckdb/query.ts'
import { onlyFromWhole } from '../../../src/lake/commit/damage.ts'
import { LakeHistory, type HistoryOptions } from '../../../src/lake/rebuild/history.ts'
import { catalogOf } from '../../../src/lake/tables/sql-catalog.ts'
import { flipBit } from '../support/damage.ts'
import { day, topics } from '../support/feed.ts'
import { folder, lake } from '../support/fresh-lake.ts'
import { pay, plan, positionsOf, run, schema, write, type LogContent } from '../verify/support/world.ts'

/** Scores of four payments of one partition. */
async function content(): Promise<LogContent> {
  return run(Array.from({ length: 4 }, (_, n) => pay(`p${n}`, day + n, day + n)))
}

async function open(all: LogContent, change: Partial<HistoryOptions>) {
  const snapshot = await lake.snapshot()
  const { setup } = catalogOf(lake, snapshot, schema)
  const query = await openQuery({ threads: 1, memoryMb: 512, tempDir: folder.dir, tempMb: 512, setup })
  const { committed } = positionsOf(all)
  try {
    const options = {
      query,
      plan,
      schema,
      topics,
      committed: new Map<number, number>(),
      fromWhole: <Result>(read: () => Promise<Result>) => onlyFromWhole(lake, snapshot, read),
    }
    const history = await LakeHistory.open({ ...options, ...change })
    return { reach: await history.reach(), committed }
  } finally {
    query.close()
  }
}

test('an answer without its event is a hole, unless it only came into the lake first', async () => {
  const all = await content()
  await write(lake, { ...all, events: all.events.slice(0, 2) })
  await expect(open(all, {})).rejects.toThrow(/lake_incomplete|2 answers to events that it does not have/)
  const { reach } = await open(all, { isLive: true })
  expect(reach.map(({ next }) => next)).toEqual([2])
})

test('a hole below what the lake has is one also while it is written', async () => {
  const all = await content()
  const [first, , third] = all.events
  if (first === undefined || third === undefined) throw new Error('there are four')
  await write(lake, { ...all, events: [first] })
  const missing = { ...all, scores: [], events: [third] }
  await write(lake, missing)
  await expect(open(all, { isLive: true })).rejects.toThrow('1 answers to events that it does not have')
})

test('states are not made of a file with a flipped bit, which is named', async () => {
  const all = await content()
  await write(lake, all)
  const [damaged] = (await lake.snapshot()).files.filter(({ table }) => table === 'scores')
  if (damaged === undefined) throw new Error('there are scores')
  flipBit(lake.pathOf(damaged))
  await expect(open(all, {})).rejects.toMatchObject({ code: 'lake_corrupt' })
  await expect(open(all, {})).rejects.toThrow(`${damaged.path} (wrong_checksum)`)
})
