import { fork } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findDamage } from '../../../src/lake/commit/damage.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'
import { batchOf, claimOf, day, materializer, payment, record, tempFolder, topics } from '../support/feed.ts'
import { offsets, range } from '../support/read.ts'
import { built } from '../../support/built.ts'

let folder: ReturnType<typeof tempFolder>
beforeEach(() => {
  folder = tempFolder()
})
afterEach(() => folder.remove())

/** Runs the child until it says that it stands at the point, then kills it there. */
async function crashAt(point: string): Promise<void> {
  const child = fork(built('test/lake/support/crash-child.ts'), [folder.dir, point], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const reached = await new Promise((resolve) => {
    child.once('message', resolve)
    child.once('exit', (code) => resolve(`exited with ${code}`))
  })
  expect(reached).toBe(point)
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

test.each([
  { point: 'staged', resumesAt: 5, staged: 1, placed: 1 },
  { point: 'renamed', resumesAt: 5, staged: 0, placed: 2 },
  { point: 'committed', resumesAt: 10, staged: 0, placed: 2 },
])(
  'I5: killed when $point, the lake is whole and goes on at $resumesAt',
  async ({ point, resumesAt, staged, placed }) => {
    await crashAt(point)
    const days = join(folder.dir, 'events/dt=2026-03-01')
    const staging = join(folder.dir, '_staging')
    expect(readdirSync(staging)).toHaveLength(staged)
    expect(readdirSync(days)).toHaveLength(placed)

    const lake = await openLake({ dir: folder.dir })
    expect(await offsets(lake, topics.events)).toEqual(range(0, resumesAt))
    const m = await materializer(lake)
    const assignment = claimOf(topics.events, 0)
    expect(await m.assigned(assignment)).toBe(resumesAt)
    expect(readdirSync(staging)).toEqual([])
    await m.batch(assignment, batchOf(range(resumesAt, 12).map((i) => record(topics.events, i, payment(`p${i}`, day)))))
    await m.flush()
    expect(await offsets(lake, topics.events)).toEqual(range(0, 12))
    const { files } = await lake.snapshot()
    expect(readdirSync(days)).toHaveLength(files.length)
    expect(await findDamage(lake, (await lake.snapshot()).files)).toEqual([])
    await m.stop()
  },
  60_000,
)
