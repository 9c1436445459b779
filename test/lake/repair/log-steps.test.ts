import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLake } from '../../../src/lake/commit/lake.ts'
import { commitName } from '../../../src/lake/commit/log-files.ts'
import { beginAnew, retireHistory } from '../../../src/lake/repair/log-steps.ts'
import { ownedBy, stepOf } from '../support/commits.ts'
import { folder, lake } from '../support/fresh-lake.ts'
import { range } from '../support/read.ts'

const log = () => join(folder.dir, '_log')
const names = () => readdirSync(log()).toSorted()

/** Five versions, of which the newest is missing; this test's lake knows it still. */
async function loseNewest(): Promise<void> {
  await lake.log.commit(ownedBy('a'))
  for (const i of range(0, 4)) await lake.log.commit(stepOf(i))
  rmSync(join(log(), commitName(5)))
}

test('a log that went on since the plan was made does not begin anew, and nothing changes', async () => {
  await loseNewest()
  await lake.log.commit(stepOf(4))
  const before = names()
  await expect(beginAnew(folder.dir, { version: 5, holes: [] }, null)).rejects.toMatchObject({
    code: 'lake_contended',
    canRetry: true,
  })
  expect(names()).toEqual(before)
})

test('a commit above the checkpoint stays in the log, whatever it follows', async () => {
  await loseNewest()
  await beginAnew(folder.dir, { version: 5, holes: [] }, null)
  expect((await lake.log.commit(stepOf(4))).kind).toBe('committed')
  await retireHistory(folder.dir, 5)
  expect(names()).toContain(commitName(6))
  // It follows a commit that nobody else knows: that is said, and nothing is taken away.
  const cold = await openLake({ dir: folder.dir })
  await expect(cold.snapshot()).rejects.toMatchObject({ code: 'lake_corrupt' })
})
