import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkLog } from '../../../src/lake/check/log-check.ts'
import { openCommitLog } from '../../../src/lake/commit/commit-log.ts'
import type { FileEntry } from '../../../src/lake/commit/commit.ts'
import { fileEntry, ownedBy, stepOf } from '../support/commits.ts'
import { tempFolder } from '../support/feed.ts'
import { range } from '../support/read.ts'

let folder: ReturnType<typeof tempFolder>
beforeEach(() => {
  folder = tempFolder()
})
afterEach(() => folder.remove())

/** What a merge makes of the files of these offsets. */
function merged(first: number, last: number, day = '2026-03-01'): FileEntry {
  const rows = last - first + 1
  const path = `events/dt=${day}/e-0-${first}-${last}.00000000.parquet`
  return { ...fileEntry(first), path, lastOffset: last, rows }
}

test('I5: behind a missing merge no file stands beside the later merge that holds its rows', async () => {
  const path = join(folder.dir, '_log')
  const log = await openCommitLog({ folder: path, clock: { nowMs: () => Date.now() } })
  await log.commit(ownedBy('a'))
  for (const i of range(0, 5)) await log.commit(stepOf(i))
  const elsewhere = merged(1, 1, '2026-03-02')
  await log.commit({ added: [elsewhere] })
  const [inner, outer] = [merged(0, 2), merged(0, 3)]
  await log.commit({ added: [inner], removed: range(0, 3).map((i) => fileEntry(i).path) })
  await log.commit({ added: [outer], removed: [inner.path, fileEntry(3).path] })
  const whole = [...(await log.refresh()).files.keys()].sort()
  expect(whole).toEqual([outer.path, fileEntry(4).path, elsewhere.path].sort())
  // Versions: the ownership, five files, the other day, then the first merge.
  rmSync(join(path, `${'8'.padStart(20, '0')}.json`))
  const { state, faults } = await checkLog(path)
  expect(faults.map(({ damage, version }) => [damage, version])).toEqual([['missing', 8]])
  expect([...state.files.keys()].sort()).toEqual(whole)
})
