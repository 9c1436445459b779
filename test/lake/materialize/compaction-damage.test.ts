import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compact, mergeRuns } from '../../../src/lake/materialize/compaction.ts'
import type { FileEntry } from '../../../src/lake/commit/commit.ts'
import { findDamage } from '../../../src/lake/commit/damage.ts'
import { flipBit } from '../support/damage.ts'
import { batchOf, claimOf, materializer, record, topics } from '../support/feed.ts'
import { folder, lake } from '../support/fresh-lake.ts'
import { offsets, range } from '../support/read.ts'

const limits = { minFiles: 2, maxFiles: 100, targetBytes: 1 << 20, retireGraceMs: 60_000 }

/** Files of one offset each, `filesOfEach` in each of two partitions. */
async function write(filesOfEach: number) {
  const m = await materializer(lake)
  for (const partition of [0, 1]) {
    const assignment = { ...claimOf(topics.events, partition), range: { partition, start: 0, end: 100 } }
    await m.assigned(assignment)
    for (const offset of range(0, filesOfEach)) {
      await m.batch(assignment, batchOf([record(topics.events, offset, '{', { partition })]))
      await m.flush()
    }
  }
  return m
}

const fileOf = async (partition: number, offset: number) => {
  const { files } = await lake.snapshot()
  return files.find((file) => file.partition === partition && file.firstOffset === offset) as FileEntry
}
const layout = async (partition: number) =>
  (await lake.snapshot()).files
    .filter((file) => file.partition === partition)
    .map(({ firstOffset, lastOffset }) => [firstOffset, lastOffset])
    .toSorted((a, b) => (a[0] as number) - (b[0] as number))

test.each([
  ['has a flipped bit', 'wrong_checksum', (path: string) => flipBit(path)],
  ['is truncated', 'wrong_size', (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 100))],
  ['is missing', 'missing', (path: string) => rmSync(path)],
])('I5: a file that %s stays out of the merge and is named; its neighbours are merged', async (_name, kind, damage) => {
  const m = await write(7)
  const damaged = await fileOf(0, 3)
  damage(lake.pathOf(damaged))
  const run = () => compact({ ...limits, lake, writer: m.writer, nowMs: Date.now() })
  const found = { path: damaged.path, kind }
  expect(await run()).toMatchObject({ merged: 13, written: 3, damaged: [found] })
  expect(await layout(0)).toEqual([
    [0, 2],
    [3, 3],
    [4, 6],
  ])
  expect(await layout(1)).toEqual([[0, 6]])
  expect(await run()).toMatchObject({ merged: 0, damaged: [found] })
  expect(await findDamage(lake, (await lake.snapshot()).files)).toEqual([found])
  expect(readdirSync(join(folder.dir, '_staging'))).toEqual([])
  await m.stop()
})

test('I5: once the file is back, the merge goes on and nothing is damaged', async () => {
  const m = await write(5)
  const damaged = lake.pathOf(await fileOf(0, 2))
  copyFileSync(damaged, join(folder.dir, 'copy'))
  flipBit(damaged)
  const run = () => compact({ ...limits, lake, writer: m.writer, nowMs: Date.now() })
  await run()
  copyFileSync(join(folder.dir, 'copy'), damaged)
  expect(await run()).toMatchObject({ merged: 3, written: 1, damaged: [] })
  expect(await layout(0)).toEqual([[0, 4]])
  expect(await offsets(lake, topics.events)).toEqual(range(0, 5))
  await m.stop()
})

test('I5: a file that is damaged between its check and the end of the merge is not merged either', async () => {
  const m = await write(4)
  const damaged = await fileOf(0, 1)
  const writer = {
    ...m.writer,
    merge: (paths: readonly string[], path: string) => {
      if (paths.includes(lake.pathOf(damaged))) flipBit(lake.pathOf(damaged))
      return m.writer.merge(paths, path)
    },
  }
  const result = await compact({ ...limits, lake, writer, nowMs: Date.now() })
  expect(result.damaged).toEqual([{ path: damaged.path, kind: 'wrong_checksum' }])
  expect(await layout(0)).toEqual([
    [0, 0],
    [1, 1],
    [2, 3],
  ])
  expect(await findDamage(lake, (await lake.snapshot()).files)).toHaveLength(1)
  await m.stop()
})

test('a damaged file ends a run like a large one', () => {
  const file = (firstOffset: number) =>
    ({
      path: `events/dt=2026-03-01/${firstOffset}.parquet`,
      topic: 'e',
      partition: 0,
      firstOffset,
      bytes: 10,
    }) as FileEntry
  const files = range(0, 6).map(file)
  const damaged = new Set(['events/dt=2026-03-01/3.parquet'])
  const runs = mergeRuns(files, limits, damaged).map((run) => run.map(({ firstOffset }) => firstOffset))
  expect(runs).toEqual([
    [0, 1, 2],
    [4, 5],
  ])
})

test('a merge that fails is named, and stops neither the other merges nor the purge', async () => {
  const m = await write(4)
  const retired = await fileOf(1, 3)
  await lake.log.commit({ removed: [retired.path] })
  const failing = await fileOf(0, 1)
  const writer = {
    ...m.writer,
    merge: async (paths: readonly string[], path: string) => {
      const rows = await m.writer.merge(paths, path)
      if (paths.includes(lake.pathOf(failing))) throw new Error('Out of Memory')
      return rows
    },
  }
  const run = () => compact({ ...limits, retireGraceMs: 0, lake, writer, nowMs: Date.now() + 3_600_000 })
  const failed = [{ path: (await fileOf(0, 0)).path, files: 4, error: new Error('Out of Memory') }]
  expect(await run()).toMatchObject({ merged: 3, written: 1, purged: 4, damaged: [], failed })
  expect(await run()).toMatchObject({ merged: 0, failed })
  expect(await layout(0)).toHaveLength(4)
  expect(readdirSync(join(folder.dir, '_staging'))).toEqual([])
  await m.stop()
})
