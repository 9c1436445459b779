import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openTableWriter } from '../../../src/edges/duckdb/table-writer.ts'
import { compact, mergeRuns } from '../../../src/lake/materialize/compaction.ts'
import type { FileEntry } from '../../../src/lake/commit/commit.ts'
import { hourMs } from '../../../src/base/units.ts'
import { findDamage } from '../../../src/lake/commit/damage.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'
import { batchOf, claimOf, day, materializer, record, score, topics, writerOptions } from '../support/feed.ts'
import { folder, lake } from '../support/fresh-lake.ts'
import { ask, offsets, range } from '../support/read.ts'

const limits = { minFiles: 2, maxFiles: 100, targetBytes: 1 << 20, retireGraceMs: 60_000 }

test('I5: small files become one with the same rows, bit for bit; the old ones go after the grace period', async () => {
  const m = await materializer(lake)
  const assignment = claimOf(topics.scores, 0)
  await m.assigned(assignment)
  for (const flush of range(0, 6)) {
    const records = range(0, 50).map((i) => {
      const offset = flush * 100 + i
      const features = `{"spend__mean_7d":${i % 3 === 0 ? '-0' : i % 3 === 1 ? '0' : `0.${offset}`},"spend__count_7d":${i}}`
      return record(topics.scores, offset, score(`s${offset}`, `p${offset}`, day + offset, features))
    })
    await m.batch(assignment, batchOf(records, flush * 100 + 100))
    await m.flush()
  }
  const all = 'SELECT *, 1 / spend__mean_7d AS sign FROM scores'
  const before = await ask(lake, all)
  const old = await lake.snapshot()
  const writer = await openTableWriter(writerOptions)
  const run = (nowMs: number) => compact({ ...limits, lake, writer, nowMs })
  expect(await run(Date.now())).toEqual({ merged: 6, written: 1, lost: 0, purged: 0, damaged: [], failed: [] })
  expect(await ask(lake, all)).toEqual(before)
  const { files, covered } = await lake.snapshot()
  expect(files).toMatchObject([
    { firstOffset: 0, lastOffset: 549, rows: 300, minEventTimeMs: day, maxEventTimeMs: day + 549 },
  ])
  expect(covered).toEqual(old.covered)
  expect(await findDamage(lake, old.files)).toEqual([])
  expect(await run(Date.now())).toEqual({ merged: 0, written: 0, lost: 0, purged: 0, damaged: [], failed: [] })
  expect(await run(Date.now() + 60_000)).toMatchObject({ purged: 6 })
  expect(readdirSync(join(folder.dir, 'scores/dt=2026-03-01'))).toHaveLength(1)
  expect(await findDamage(lake, (await lake.snapshot()).files)).toEqual([])
  await m.stop()
  await writer.close()
})

test('the commits that no reader needs go with the files, and the lake stays as it is', async () => {
  const clock = { nowMs: () => Date.now() + 2 * hourMs }
  const aged = await openLake({ dir: folder.dir, clock, checkpointEvery: 5, keptVersions: 1 })
  const m = await materializer(aged)
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  for (const offset of range(0, 20)) {
    await m.batch(assignment, batchOf([record(topics.events, offset, '{')]))
    await m.flush()
  }
  const commits = () => readdirSync(join(folder.dir, '_log')).length
  expect(commits()).toBeGreaterThan(20)
  const writer = await openTableWriter(writerOptions)
  await compact({ ...limits, minFiles: 100, lake: aged, writer, nowMs: Date.now() })
  expect(commits()).toBeLessThan(10)
  expect(await offsets(await openLake({ dir: folder.dir }), topics.events)).toEqual(range(0, 20))
  await m.stop()
  await writer.close()
})

test('I5: of two compactions at once one wins, and no row is twice', async () => {
  const m = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  for (const offset of range(0, 5)) {
    await m.batch(assignment, batchOf([record(topics.events, offset, '{')]))
    await m.flush()
  }
  const members = await Promise.all([openLake({ dir: folder.dir }), openLake({ dir: folder.dir })])
  const writers = await Promise.all([openTableWriter(writerOptions), openTableWriter(writerOptions)])
  const results = await Promise.all(
    members.map((member, i) => compact({ ...limits, lake: member, writer: writers[i] ?? m.writer, nowMs: Date.now() })),
  )
  expect(results.reduce((sum, { written }) => sum + written, 0)).toBe(1)
  expect(await offsets(lake, topics.events)).toEqual(range(0, 5))
  expect(readdirSync(join(folder.dir, 'events/dt=2026-03-01'))).toHaveLength(6)
  await m.stop()
})

test('a run ends at a large file, another schema, another day, and the limit', () => {
  const file = (firstOffset: number, change: Partial<FileEntry> = {}, date = '2026-03-01') =>
    ({
      path: `events/dt=${date}/${firstOffset}.parquet`,
      topic: 'e',
      partition: 0,
      firstOffset,
      bytes: 10,
      schemaId: 'a',
      ...change,
    }) as FileEntry
  const runs = (files: readonly FileEntry[], change = {}) =>
    mergeRuns(files, { minFiles: 2, maxFiles: 10, targetBytes: 100, ...change }).map((run) =>
      run.map((f) => f.firstOffset),
    )
  expect(runs([file(3), file(1), file(2)])).toEqual([[1, 2, 3]])
  expect(runs([file(1), file(2), file(3, { bytes: 100 }), file(4), file(5)])).toEqual([
    [1, 2],
    [4, 5],
  ])
  expect(runs([file(1), file(2), file(3, { schemaId: 'b' }), file(4, { schemaId: 'b' })])).toEqual([
    [1, 2],
    [3, 4],
  ])
  expect(runs([file(1), file(2), file(3, {}, '2026-03-02'), file(4, { partition: 1 })])).toEqual([[1, 2]])
  expect(
    runs(
      range(0, 5).map((i) => file(i)),
      { maxFiles: 2 },
    ),
  ).toEqual([
    [0, 1],
    [2, 3],
  ])
  expect(runs([file(1, { bytes: 60 }), file(2, { bytes: 60 }), file(3, { bytes: 60 }), file(4)])).toEqual([
    [1, 2],
    [3, 4],
  ])
  expect(runs([file(1), file(2)], { minFiles: 3 })).toEqual([])
})
