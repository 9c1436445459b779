import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compact } from '../../../src/lake/materialize/compaction.ts'
import { findDamage, onlyFromWhole } from '../../../src/lake/commit/damage.ts'
import { flipBit } from '../support/damage.ts'
import { batchOf, claimOf, materializer, record, topics } from '../support/feed.ts'
import { lake } from '../support/fresh-lake.ts'
import { range } from '../support/read.ts'

const limits = { minFiles: 2, maxFiles: 100, targetBytes: 1 << 20, retireGraceMs: 0 }

/** Four files of one offset each. */
async function write() {
  const m = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  for (const offset of range(0, 4)) {
    await m.batch(assignment, batchOf([record(topics.events, offset, '{')]))
    await m.flush()
  }
  const mergeAndPurge = () => compact({ ...limits, lake, writer: m.writer, nowMs: Date.now() + 1_000 })
  const snapshot = await lake.snapshot()
  const pathOf = (i: number) => lake.pathOf(snapshot.files[i] ?? { path: '' })
  return { m, mergeAndPurge, snapshot, pathOf }
}

test('files that were merged and deleted while something was made of them are no damage', async () => {
  const { m, mergeAndPurge, snapshot, pathOf } = await write()
  const made = await onlyFromWhole(lake, snapshot, async () => {
    expect(await mergeAndPurge()).toMatchObject({ merged: 4, purged: 4 })
    return 'made'
  })
  expect([made, existsSync(pathOf(0))]).toEqual(['made', false])
  await m.stop()
})

test('files that were deleted before they were read can be told from damage: another try finds those that are there', async () => {
  const { m, mergeAndPurge, snapshot } = await write()
  await mergeAndPurge()
  const never = () => Promise.reject(new Error('nothing is read'))
  await expect(onlyFromWhole(lake, snapshot, never)).rejects.toMatchObject({ code: 'lake_moved', canRetry: true })
  await m.stop()
})

test.each([
  ['missing', (path: string) => rmSync(path)],
  ['wrong_checksum', flipBit],
])('I5: a file that is named and becomes %s in between is damage', async (kind, damage) => {
  const { m, snapshot, pathOf } = await write()
  const work = () => {
    damage(pathOf(1))
    return Promise.resolve()
  }
  await expect(onlyFromWhole(lake, snapshot, work)).rejects.toMatchObject({
    code: 'lake_corrupt',
    message: expect.stringContaining(`${snapshot.files[1]?.path} (${kind})`) as string,
  })
  await m.stop()
})

test.each([
  ['has a bad sector', (path: string) => symlinkSync('/proc/self/mem', path)],
  ['is a folder', (path: string) => mkdirSync(path)],
])('a file that %s is damaged, and the others are looked at', async (_what, put) => {
  const { m, snapshot, pathOf } = await write()
  rmSync(pathOf(1))
  put(pathOf(1))
  flipBit(pathOf(3))
  expect(await findDamage(lake, snapshot.files)).toEqual([
    { path: snapshot.files[1]?.path, kind: 'unreadable' },
    { path: snapshot.files[3]?.path, kind: 'wrong_checksum' },
  ])
  await m.stop()
})
