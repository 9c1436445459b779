import { readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCommitLog } from '../../../src/lake/commit/commit-log.ts'
import { checkpointOf, refusalOf, stateOf } from '../../../src/lake/commit/commit.ts'
import { fileEntry as file, ownedBy, stepOf as step } from '../support/commits.ts'
import { tempFolder } from '../support/feed.ts'
import { range } from '../support/read.ts'

const clock = { nowMs: () => Date.now() }
let folder: ReturnType<typeof tempFolder>
let path: string
beforeEach(() => {
  folder = tempFolder()
  path = join(folder.dir, '_log')
})
afterEach(() => folder.remove())

const owned = ownedBy('a')

test('a reader finds the same state from a checkpoint and from every commit', async () => {
  const log = await openCommitLog({ folder: path, clock, checkpointEvery: 10 })
  await log.commit(owned)
  for (const i of range(0, 34)) expect((await log.commit(step(i))).kind).toBe('committed')
  await log.commit({ removed: [file(3).path, file(4).path] })
  await log.commit({ purged: [file(3).path] })
  const state = checkpointOf(await log.refresh())
  expect(readdirSync(path).filter((name) => name.includes('checkpoint'))).toHaveLength(3)
  const cold = await openCommitLog({ folder: path, clock })
  expect(checkpointOf(await cold.refresh())).toEqual(state)
  const plain = await openCommitLog({ folder: join(folder.dir, 'other'), clock })
  await plain.commit(owned)
  for (const i of range(0, 34)) await plain.commit(step(i))
  await plain.commit({ removed: [file(3).path, file(4).path] })
  await plain.commit({ purged: [file(3).path] })
  expect(readdirSync(join(folder.dir, 'other')).some((name) => name.includes('checkpoint'))).toBe(false)
  const timeless = (found: ReturnType<typeof checkpointOf>) => ({
    ...found,
    digest: null,
    retired: found.retired.map(({ path: retired }) => retired),
  })
  expect(timeless(checkpointOf(await plain.refresh()))).toEqual(timeless(state))
  expect(state).toMatchObject({ version: 37, covered: [{ topic: 'e', partition: 0, next: 34 }] })
  expect(state.files).toHaveLength(32)
  expect(checkpointOf(stateOf(state))).toEqual(state)
})

test('writers in a race each commit once, and every version is one of them', async () => {
  const logs = await Promise.all(range(0, 4).map(() => openCommitLog({ folder: path, clock, checkpointEvery: 7 })))
  const topic = (i: number) => ({ owners: [{ topic: `t${i}`, partition: 0, owner: 'x' }] })
  const commits = range(0, 20).flatMap((i) => logs.map((log, k) => log.commit(topic(4 * i + k))))
  const results = await Promise.all(commits)
  const versions = results.map((result) => (result.kind === 'committed' ? result.version : -1))
  expect(versions.toSorted((a, b) => a - b)).toEqual(range(1, 81))
  for (const log of logs) expect((await log.refresh()).owners.size).toBe(80)
})

test('a commit is refused when it is not the owner’s, starts elsewhere, or removes what is gone', async () => {
  const log = await openCommitLog({ folder: path, clock })
  expect(await log.commit(step(0))).toMatchObject({ kind: 'not_owner' })
  await log.commit(owned)
  expect(await log.commit(step(4))).toMatchObject({ kind: 'covered', covered: null })
  await log.commit(step(0))
  expect(await log.commit(step(0))).toMatchObject({ kind: 'covered', covered: 1 })
  await log.commit({ owners: [{ topic: 'e', partition: 0, owner: 'b' }] })
  expect(await log.commit(step(1))).toMatchObject({ kind: 'not_owner' })
  await log.commit({ removed: [file(0).path] })
  expect(refusalOf(await log.refresh(), { removed: [file(0).path] })).toMatchObject({ kind: 'file_gone' })
  expect((await log.refresh()).version).toBe(4)
})

test('positions are lost once and found once, also for a reader', async () => {
  const log = await openCommitLog({ folder: path, clock })
  await log.commit(owned)
  const { table, topic, partition, firstOffset, lastOffset, rows } = file(0)
  const lost = [{ table, topic, partition, firstOffset, lastOffset, rows }]
  await log.commit({ lost })
  expect(await log.commit({ lost })).toMatchObject({ kind: 'lost_already' })
  await log.commit({ found: lost, added: [file(0)] })
  expect(await log.commit({ found: lost, added: [file(1)] })).toMatchObject({ kind: 'not_lost' })
  const { version, digest } = await log.refresh()
  expect(version).toBe(3)
  const nothing = { owners: [], schemas: [], added: [], removed: [], purged: [], covered: [] }
  const commit = { format: 2, version: 4, previous: digest, committedAtMs: 0, ...nothing, found: lost }
  writeFileSync(join(path, `${'4'.padStart(20, '0')}.json`), JSON.stringify(commit))
  await expect(log.refresh()).rejects.toMatchObject({ code: 'lake_corrupt', message: /which is not lost/ })
})

test('what no writer wrote is refused, never skipped', async () => {
  const log = await openCommitLog({ folder: path, clock })
  await log.commit(owned)
  writeFileSync(join(path, `${'2'.padStart(20, '0')}.json`), '{"format":1,"version":2,"added":[{"path":"../../etc"}]}')
  await expect(log.refresh()).rejects.toMatchObject({ code: 'lake_corrupt' })
  const cold = await openCommitLog({ folder: path, clock })
  await expect(cold.commit(owned)).rejects.toMatchObject({ code: 'lake_corrupt' })
})

test('trimming deletes old versions below the newest checkpoint, and nothing a reader needs', async () => {
  const log = await openCommitLog({ folder: path, clock, checkpointEvery: 10, keptVersions: 5 })
  await log.commit(owned)
  for (const i of range(0, 30)) await log.commit(step(i))
  expect(await log.trim()).toBe(0)
  const longAgo = Date.now() / 1000 - 7200
  for (const name of readdirSync(path)) utimesSync(join(path, name), longAgo, longAgo)
  expect(await log.trim()).toBe(27)
  const cold = await openCommitLog({ folder: path, clock })
  expect((await cold.refresh()).files.size).toBe(30)
  expect((await cold.commit(step(30))).kind).toBe('committed')
})
