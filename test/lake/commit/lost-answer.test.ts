import { existsSync, linkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openTableWriter } from '../../../src/edges/duckdb/table-writer.ts'
import { compact } from '../../../src/lake/materialize/compaction.ts'
import { linkFile } from '../../../src/lake/commit/durable.ts'
import type { Lake } from '../../../src/lake/commit/lake.ts'
import { batchOf, claimOf, day, materializer, payment, record, topics, writerOptions } from '../support/feed.ts'
import { folder, lake } from '../support/fresh-lake.ts'
import { offsets, range } from '../support/read.ts'

/** A lake whose commits are true, and whose answer is that of the second of two equal questions. */
function askedTwice(truth: Lake): Lake {
  const { log } = truth
  return {
    ...truth,
    log: {
      refresh: () => log.refresh(),
      trim: () => log.trim(),
      async commit(proposal) {
        await log.commit(proposal)
        return log.commit(proposal)
      },
    },
  }
}

const payments = (from: number, to: number) =>
  range(from, to).map((i) => record(topics.events, i, payment(`p${i}`, day)))

test('a name that is there already is ours when it names our own file, and nobody’s else', async () => {
  const own = join(folder.dir, 'own')
  const name = join(folder.dir, 'name')
  const other = join(folder.dir, 'other')
  writeFileSync(own, 'same')
  writeFileSync(other, 'same')
  linkSync(own, name)
  expect(await linkFile(own, name)).toBe(true)
  expect(await linkFile(own, other)).toBe(false)
  expect(await linkFile(own, join(folder.dir, 'free'))).toBe(true)
})

test('I5: a flush whose commit is true and told as refused keeps its files, and goes on above them', async () => {
  const m = await materializer(askedTwice(lake))
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  await m.batch(assignment, batchOf(payments(0, 3)))
  await m.flush()
  expect(await m.batch(assignment, batchOf(payments(3, 6)))).toBe(3)
  expect(await m.batch(assignment, batchOf(payments(3, 6)))).toBe(6)
  await m.flush()
  await m.stop()
  expect(await offsets(lake, topics.events)).toEqual(range(0, 6))
})

test('I5: a merge whose commit is true and told as refused keeps its file', async () => {
  const m = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  for (const from of [0, 3]) {
    await m.batch(assignment, batchOf(payments(from, from + 3)))
    await m.flush()
  }
  await m.stop()
  const writer = await openTableWriter(writerOptions)
  const limits = { minFiles: 2, maxFiles: 100, targetBytes: 1 << 20, retireGraceMs: 60_000 }
  await compact({ ...limits, lake: askedTwice(lake), writer, nowMs: Date.now() })
  await writer.close()
  const { files } = await lake.snapshot()
  expect(files).toHaveLength(1)
  for (const file of files) expect(existsSync(lake.pathOf(file))).toBe(true)
  expect(await offsets(lake, topics.events)).toEqual(range(0, 6))
})
