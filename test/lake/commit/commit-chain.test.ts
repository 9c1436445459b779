import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCommitLog } from '../../../src/lake/commit/commit-log.ts'
import { writeHead } from '../../../src/lake/commit/log-files.ts'
import { tempFolder } from '../support/feed.ts'
import { fileEntry, ownedBy, stepOf } from '../support/commits.ts'
import { range } from '../support/read.ts'

const clock = { nowMs: () => Date.now() }
let folder: ReturnType<typeof tempFolder>
let path: string
beforeEach(() => {
  folder = tempFolder()
  path = join(folder.dir, '_log')
})
afterEach(() => folder.remove())

const commitFile = (version: number) => join(path, `${String(version).padStart(20, '0')}.json`)
const open = (options = {}) => openCommitLog({ folder: path, clock, ...options })

/** Ten versions: the ownership, then nine files. */
async function write(options = {}): Promise<void> {
  const log = await open(options)
  await log.commit(ownedBy('a'))
  for (const i of range(0, 9)) await log.commit(stepOf(i))
}

async function isRefused(): Promise<void> {
  const cold = await open()
  await expect(cold.refresh()).rejects.toMatchObject({ code: 'lake_corrupt' })
  await expect((await open()).commit(ownedBy('b'))).rejects.toMatchObject({ code: 'lake_corrupt' })
  expect(readdirSync(path).filter((name) => name.startsWith('.'))).toEqual([])
}

test('a missing commit is an error for readers and writers, and its number is not given again', async () => {
  await write()
  rmSync(commitFile(5))
  await isRefused()
  await expect((await open()).refresh()).rejects.toThrow(/5\.json is missing, and version 10 was committed/)
  expect(readdirSync(path)).not.toContain('00000000000000000005.json')
})

test.each([1, 3])('the last %i commits missing are an error, because the head names them', async (count) => {
  await write()
  for (const version of range(11 - count, 11)) rmSync(commitFile(version))
  await isRefused()
})

test('a reader that goes on notices that commits above it are gone', async () => {
  const reader = await open()
  await write()
  expect((await reader.refresh()).version).toBe(10)
  const writer = await open()
  await writer.commit(ownedBy('b'))
  rmSync(commitFile(11))
  await expect(reader.refresh()).rejects.toMatchObject({ code: 'lake_corrupt' })
})

test.each([
  ['truncated', () => truncateSync(commitFile(6), 40)],
  ['empty', () => writeFileSync(commitFile(6), '')],
  ['not JSON', () => writeFileSync(commitFile(6), 'no commit')],
  ['renumbered', () => copyFileSync(commitFile(5), commitFile(6))],
  ['the next one under its name', () => renameSync(commitFile(7), commitFile(6))],
  ['altered in one digit, in the middle', () => alter(6, '"bytes":1,', '"bytes":2,')],
  ['altered in one digit, at the end', () => alter(10, '"bytes":1,', '"bytes":2,')],
])('a commit that is %s is an error for readers and writers', async (_name, damage) => {
  await write()
  damage()
  await isRefused()
})

test("another lake's commit of the same number is an error", async () => {
  await write()
  const own = readFileSync(commitFile(10), 'utf8')
  rmSync(path, { recursive: true })
  await write()
  writeFileSync(commitFile(10), own.replace(/"committedAtMs":\d+/, '"committedAtMs":1'))
  await isRefused()
})

test('a commit below the newest checkpoint may be gone: the chain goes on above it, and is held there', async () => {
  await write({ checkpointEvery: 4 })
  for (const version of range(1, 9)) rmSync(commitFile(version))
  const cold = await open()
  expect((await cold.refresh()).files.size).toBe(9)
  expect((await cold.commit(stepOf(9))).kind).toBe('committed')
  alter(9, '"bytes":1,', '"bytes":2,')
  await isRefused()
})

test('a checkpoint that was altered in one digit is an error', async () => {
  await write({ checkpointEvery: 4 })
  const checkpoint = join(path, '00000000000000000008.checkpoint.json')
  writeFileSync(checkpoint, readFileSync(checkpoint, 'utf8').replace('"next":7', '"next":6'))
  await isRefused()
})

test('without the head nobody can tell whether the last commits are there: an error', async () => {
  await write()
  rmSync(join(path, 'head.json'))
  await isRefused()
})

test('a lake without the chain is read, continues with it, and is held to it from then on', async () => {
  await write()
  rmSync(join(path, 'head.json'))
  for (const version of range(1, 11)) {
    const { previous: _previous, ...commit } = JSON.parse(readFileSync(commitFile(version), 'utf8')) as {
      previous: unknown
    }
    writeFileSync(commitFile(version), JSON.stringify({ ...commit, format: 1 }))
  }
  const old = await open()
  expect((await old.refresh()).files.size).toBe(9)
  const before = readFileSync(commitFile(10), 'utf8')
  await old.commit(stepOf(9))
  await old.commit(stepOf(10))
  expect((await (await open()).refresh()).files.size).toBe(11)
  alter(10, '"bytes":1,', '"bytes":2,')
  await isRefused()
  writeFileSync(commitFile(10), before)
  expect((await (await open()).refresh()).version).toBe(12)
  rmSync(commitFile(4))
  await isRefused()
})

test('an old program cannot commit behind the chain', async () => {
  await write()
  const foreign = { ...ownedBy('z'), format: 1, version: 11, committedAtMs: 1, schemas: [], added: [], removed: [] }
  writeFileSync(commitFile(11), JSON.stringify({ ...foreign, purged: [], covered: [] }))
  await isRefused()
})

test('the head is at the newest version after writers in a race', async () => {
  const logs = await Promise.all(range(0, 4).map(() => open({ checkpointEvery: 7 })))
  await Promise.all(range(0, 10).flatMap((i) => logs.map((log, k) => log.commit(ownedBy('x', `t${4 * i + k}`)))))
  expect(JSON.parse(readFileSync(join(path, 'head.json'), 'utf8'))).toMatchObject({ version: 40 })
  expect((await (await open()).refresh()).owners.size).toBe(40)
})

test('a writer that died before the head leaves a lake that is read and goes on', async () => {
  await write()
  const head = readFileSync(join(path, 'head.json'), 'utf8')
  const log = await open()
  await log.commit(stepOf(9))
  writeFileSync(join(path, 'head.json'), head)
  expect((await (await open()).refresh()).version).toBe(11)
  expect((await (await open()).commit(stepOf(10))).kind).toBe('committed')
  expect((await (await open()).refresh()).files.get(fileEntry(10).path)).toEqual(fileEntry(10))
})

test('a head that knows the version and not its checksum refuses nothing', async () => {
  await write()
  await writeHead(path, { version: 10, digest: null })
  expect((await (await open()).refresh()).version).toBe(10)
  expect((await (await open()).commit(stepOf(9))).kind).toBe('committed')
})

function alter(version: number, before: string, after: string): void {
  const text = readFileSync(commitFile(version), 'utf8')
  const altered = text.replace(before, after)
  expect(altered).not.toBe(text)
  writeFileSync(commitFile(version), altered)
}
