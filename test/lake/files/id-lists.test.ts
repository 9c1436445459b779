import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { lakeLookupDefaults, openLakeLookup } from '../../../src/app/roles/score-lookup.ts'
import { openQuery } from '../../../src/edges/duckdb/query.ts'
import { openTableWriter } from '../../../src/edges/duckdb/table-writer.ts'
import { compact } from '../../../src/lake/materialize/compaction.ts'
import { idHash, identitiesIn, identityHash, idListOf, mergedIdLists } from '../../../src/lake/files/id-list.ts'
import { createIdListKeeper, IdLists, type ReadIds } from '../../../src/lake/files/id-lists.ts'
import type { Lake } from '../../../src/lake/commit/lake.ts'
import { testSeed as seed } from '../../support/seed.ts'
import {
  batchOf,
  catalog,
  claimOf,
  day,
  schema,
  materializer,
  payment,
  record,
  score,
  topics,
  writerOptions,
} from '../support/feed.ts'
import { folder, lake } from '../support/fresh-lake.ts'
import { range } from '../support/read.ts'

const features = '{"spend__count_7d":3,"spend__mean_7d":0.1}'
const limits = { minFiles: 2, maxFiles: 100, targetBytes: 1 << 20, retireGraceMs: 0 }
const files = () => readdirSync(join(folder.dir, '_ids'))

async function written(flushes: number): Promise<void> {
  const m = await materializer(lake)
  const bindsLake = { events: claimOf(topics.events, 0), scores: claimOf(topics.scores, 0) }
  for (const assignment of Object.values(bindsLake)) await m.assigned(assignment)
  for (const flush of range(0, flushes)) {
    const offsets = range(flush * 10, flush * 10 + 10)
    await m.batch(
      bindsLake.events,
      batchOf(offsets.map((i) => record(topics.events, i, i % 10 === 9 ? '{' : payment(`p${i}`, day + i)))),
    )
    await m.batch(
      bindsLake.scores,
      batchOf(offsets.map((i) => record(topics.scores, i, score(`s${i}`, `p${i}`, day + i, features)))),
    )
    await m.flush()
  }
  await m.stop()
}

/** A look-up, and how many files its queries read: what it may read and does not is nothing. */
function lookUp(listBytesMax = 1 << 20) {
  const read: string[] = []
  const counting: Lake = {
    ...lake,
    pathOf: (file) => {
      read.push(file.path)
      return lake.pathOf(file)
    },
  }
  const lookup = openLakeLookup({ ...lakeLookupDefaults, lake: counting, schema, catalog, listBytesMax })
  return {
    ...lookup,
    filesRead: () => new Set(read.splice(0)).size,
    score: async (id: string, aggregateId: string | null = null) =>
      (await lookup.scores(id, { aggregateId, known: [], max: 5 })).map(({ eventId }) => eventId),
  }
}

const readIds: ReadIds = async (file, { aggregate, id }) => {
  const query = await openQuery({ threads: 1, memoryMb: 256, tempDir: folder.dir, tempMb: 0, setup: [] })
  const rows = await query.rows(`SELECT ${aggregate} AS a, ${id} AS i FROM '${lake.pathOf(file)}'`)
  query.close()
  return rows.map(({ a, i }) => [a as string | null, i as string | null])
}

test('a list holds every id of its file, alone and with its aggregate', () => {
  const id = fc.tuple(
    fc.constantFrom('c1', 'c2', 'ü', null),
    fc.oneof(fc.nat({ max: 50 }).map(String), fc.constant(null)),
  )
  fc.assert(
    fc.property(fc.array(fc.array(id)), (parts) => {
      const list = mergedIdLists(parts.map((rows) => idListOf(rows)))
      expect([...list.ids]).toEqual([...list.ids].toSorted((a, b) => a - b))
      for (const n of range(0, 52).map(String)) {
        const expected = parts
          .flat()
          .filter(([a, e]) => a !== null && e === n)
          .map(([a]) => identityHash(a!, n))
        expect(identitiesIn(list, idHash(n)).toSorted()).toEqual(expected.toSorted())
      }
    }),
    { seed, numRuns: 300 },
  )
})

test('an unknown id costs no query, a known one that of its file, also after a compaction', async () => {
  await written(4)
  const lookup = lookUp()
  expect([await lookup.score('p13'), lookup.filesRead()]).toEqual([['p13'], 1])
  expect([await lookup.score('p13', 'c1'), lookup.filesRead()]).toEqual([['p13'], 1])
  expect([await lookup.score('p13', 'c2'), await lookup.score('p99'), lookup.filesRead()]).toEqual([[], [], 0])
  expect([await lookup.scores('p13', { aggregateId: null, known: ['c1'], max: 5 }), lookup.filesRead()]).toEqual([
    [],
    0,
  ])
  expect(await lookup.event({ aggregateId: 'c1', eventId: 'p13' })).toMatchObject({ partition: 0, offset: 13 })
  expect(await lookup.event({ aggregateId: 'c1', eventId: 'p99' })).toBeNull()
  await lookup.close()

  const writer = await openTableWriter(writerOptions)
  expect(await compact({ ...limits, lake, writer, nowMs: Date.now() + 3_600_000 })).toMatchObject({
    merged: 8,
    purged: 8,
  })
  await writer.close()
  expect(files()).toHaveLength(2)
  const after = lookUp()
  expect([await after.score('p13'), await after.score('p39'), after.filesRead()]).toEqual([['p13'], ['p39'], 1])
  expect([await after.score('p99'), after.filesRead()]).toEqual([[], 0])
  await after.close()
})

test('a list that is missing, torn or altered costs a query, and is made again', async () => {
  await written(3)
  const [first, second, third] = files().filter((name) => name.startsWith('scores-'))
  rmSync(join(folder.dir, '_ids', first!))
  truncateSync(join(folder.dir, '_ids', second!), 50)
  const bytes = readFileSync(join(folder.dir, '_ids', third!))
  bytes[60]! ^= 1
  writeFileSync(join(folder.dir, '_ids', third!), bytes)
  const lookup = lookUp()
  expect([await lookup.score('p99'), lookup.filesRead()]).toEqual([[], 3])
  expect([await lookup.score('p3'), await lookup.score('p13'), await lookup.score('p23')]).toEqual([
    ['p3'],
    ['p13'],
    ['p23'],
  ])
  expect(await createIdListKeeper(lake, schema, readIds)({ max: 10, nowMs: Date.now() })).toBe(3)
  expect(await createIdListKeeper(lake, schema, readIds)({ max: 10, nowMs: Date.now() })).toBe(0)
  lookup.filesRead()
  expect([await lookup.score('p99'), lookup.filesRead()]).toEqual([[], 0])
  await lookup.close()
})

test('lists beyond the memory for them are read from the disk', async () => {
  await written(3)
  const lookup = lookUp(100)
  expect([await lookup.score('p99'), await lookup.score('p3'), lookup.filesRead()]).toEqual([[], ['p3'], 1])
  await lookup.close()
  const lists = new IdLists({ lake, bytesMax: 100, maxAgeMs: 0, nowMs: () => performance.now() })
  const found = await lists.candidates('scores', 'p13', null)
  expect(found.map(({ file }) => [file.firstOffset, file.lastOffset])).toEqual([[10, 19]])
})

test('the list of a file that never was goes after a while, and that of a young one stays', async () => {
  await written(1)
  writeFileSync(join(folder.dir, '_ids', 'scores-x-0-0-0.00000000.parquet.ids'), '')
  await createIdListKeeper(lake, schema, readIds)({ max: 10, nowMs: Date.now() })
  expect(files()).toHaveLength(3)
  await createIdListKeeper(lake, schema, readIds)({ max: 10, nowMs: Date.now() + 3_600_000 })
  expect(files()).toHaveLength(2)
})

test('a damaged file of the lake is named, and answers nothing', async () => {
  await written(1)
  const { files: entries } = await lake.snapshot()
  const path = lake.pathOf(entries.find(({ table }) => table === 'scores')!)
  const bytes = readFileSync(path)
  bytes[Math.floor(bytes.length / 2)]! ^= 1
  writeFileSync(path, bytes)
  const lookup = lookUp()
  await expect(lookup.score('p3')).rejects.toMatchObject({ code: 'lake_corrupt' })
  await lookup.close()
})

test('an event of history is found as the log took it', async () => {
  const m = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  const timeMs = day - 200 * 86_400_000
  const told = { 'riverbank-history-from': new Date(timeMs).toISOString() }
  await m.batch(assignment, batchOf([{ ...record(topics.events, 0, payment('old', timeMs)), headers: told }]))
  await m.flush()
  await m.stop()
  expect(await lookUp().event({ aggregateId: 'c1', eventId: 'old' })).toMatchObject({ partition: 0, offset: 0 })
})
