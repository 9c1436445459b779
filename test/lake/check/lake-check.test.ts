import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkLake } from '../../../src/lake/check/lake-check.ts'
import { renderLakeCheck } from '../../../src/lake/check/text.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'
import { flipBit } from '../support/damage.ts'
import { batchOf, claimOf, materializer, record, topics } from '../support/feed.ts'
import { folder, lake } from '../support/fresh-lake.ts'
import { range } from '../support/read.ts'

/** Five files of two offsets each. */
async function write(): Promise<void> {
  const m = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  for (const flush of range(0, 5)) {
    await m.batch(assignment, batchOf([2 * flush, 2 * flush + 1].map((offset) => record(topics.events, offset, '{'))))
    await m.flush()
  }
  await m.stop()
}

const commitPath = (version: number) => join(folder.dir, `_log/${String(version).padStart(20, '0')}.json`)
const check = async () => (await checkLake({ dir: folder.dir })).report

test('a whole lake is ok, and every file and commit was read', async () => {
  await write()
  const bytes = (await lake.snapshot()).files.reduce((sum, file) => sum + file.bytes, 0)
  const whole = { ok: true, isComplete: true, version: 6, commits: 6, files: 5, filesChecked: 5 }
  expect(await check()).toMatchObject({ ...whole, bytesChecked: bytes, damaged: [], unnamed: [], lost: [] })
})

test('damaged and missing files are named with their positions', async () => {
  await write()
  const [first, second] = (await lake.snapshot()).files
  if (first === undefined || second === undefined) throw new Error('there are five')
  flipBit(lake.pathOf(first))
  rmSync(lake.pathOf(second))
  const position = { table: 'events', topic: topics.events, partition: 0, rows: 2 }
  expect((await check()).damaged).toEqual([
    { kind: 'file', damage: 'wrong_checksum', path: first.path, ...position, firstOffset: 0, lastOffset: 1 },
    { kind: 'file', damage: 'missing', path: second.path, ...position, firstOffset: 2, lastOffset: 3 },
  ])
  const text = renderLakeCheck(await check())
  expect(text).toContain(`file ${first.path}: wrong_checksum, ${topics.events} partition 0 offsets 0 to 1 of events`)
  expect(text).toContain('DAMAGED: 2 damaged')
})

test.each([
  ['missing', 4, () => rmSync(commitPath(4))],
  ['missing', 6, () => rmSync(commitPath(6))],
  ['unreadable', 3, () => writeFileSync(commitPath(3), '{')],
  [
    'altered',
    3,
    () => writeFileSync(commitPath(3), readFileSync(commitPath(3), 'utf8').replace('"rows":2', '"rows":3')),
  ],
  [
    'altered',
    6,
    () => writeFileSync(commitPath(6), readFileSync(commitPath(6), 'utf8').replace('"rows":2', '"rows":3')),
  ],
] as const)(
  'a commit that is %s (%i) is named, and the files of the others are still checked',
  async (damage, version, act) => {
    await write()
    act()
    const report = await check()
    expect(report.damaged).toMatchObject([{ kind: 'commit', damage, version, digest: expect.any(String) as string }])
    expect(report).toMatchObject({ ok: false, files: 4, filesChecked: 4, version: 6 })
  },
)

test('the head and a checkpoint are checked, too', async () => {
  await write()
  rmSync(join(folder.dir, '_log/head.json'))
  writeFileSync(join(folder.dir, '_log/00000000000000000004.checkpoint.json'), '{}')
  expect((await check()).damaged).toMatchObject([
    { kind: 'checkpoint', damage: 'unreadable', version: 4 },
    { kind: 'head', damage: 'missing' },
  ])
})

test('a file that no commit names is listed and is no damage', async () => {
  await write()
  const name = `events/dt=2026-03-01/${topics.events}-0-10-12.0123abcd.parquet`
  writeFileSync(join(folder.dir, name), 'x')
  writeFileSync(join(folder.dir, '_log/notes.txt'), 'x')
  const nothing = { topic: null, partition: null, firstOffset: null, lastOffset: null }
  expect(await check()).toMatchObject({
    ok: true,
    unnamed: [
      { path: name, topic: topics.events, partition: 0, firstOffset: 10, lastOffset: 12 },
      { path: '_log/notes.txt', ...nothing },
    ],
  })
})

test('a name that no version has is foreign: the check ends, and readers and writers go on', async () => {
  await write()
  for (const name of ['99999999999999999999.json', '99999999999999999999.checkpoint.json']) {
    writeFileSync(join(folder.dir, '_log', name), '{}')
  }
  expect((await (await openLake({ dir: folder.dir })).snapshot()).version).toBe(6)
  const report = await check()
  expect(report).toMatchObject({ ok: true, version: 6 })
  expect(report.unnamed.map(({ path }) => path).toSorted()).toEqual([
    '_log/99999999999999999999.checkpoint.json',
    '_log/99999999999999999999.json',
  ])
})

test('versions that are missing below one far above are listed as one', async () => {
  await write()
  writeFileSync(commitPath(1_000_000_000), '{}')
  expect((await check()).damaged).toMatchObject([
    { kind: 'commit', damage: 'unreadable', version: 1_000_000_000 },
    { kind: 'commit', damage: 'missing', version: 7, detail: 'it is not there, nor are the 999999992 above it' },
  ])
})

test('stopped, it tells what was checked so far, and does not say that all is well', async () => {
  await write()
  const stopping = new AbortController()
  const { report } = await checkLake({
    dir: folder.dir,
    signal: stopping.signal,
    onProgress: () => {
      stopping.abort()
    },
  })
  expect(report).toMatchObject({ ok: false, isComplete: false, damaged: [], files: 5 })
  expect(report.filesChecked).toBeLessThan(5)
  expect(renderLakeCheck(report)).toContain(`stopped after ${report.filesChecked} of 5 files: nothing damaged so far`)
})
