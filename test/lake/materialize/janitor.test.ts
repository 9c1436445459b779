import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { removeOrphans } from '../../../src/lake/materialize/janitor.ts'
import { fileEntry, ownedBy, stepOf } from '../support/commits.ts'
import { folder, lake } from '../support/fresh-lake.ts'
import { range } from '../support/read.ts'

/** Offsets 0 to 9 are covered, 4 and 5 are lost, and the log begins where it is told to. */
async function leftAfter(logStart: number): Promise<readonly string[]> {
  const days = join(folder.dir, 'events/dt=2026-03-01')
  mkdirSync(days, { recursive: true })
  await lake.log.commit(ownedBy('a'))
  for (const i of range(0, 10)) await lake.log.commit(stepOf(i))
  const { table, topic, partition } = fileEntry(0)
  await lake.log.commit({ lost: [{ table, topic, partition, firstOffset: 4, lastOffset: 5, rows: null }] })
  const names = ['0-3', '3-4', '5-8', '6-9', '8-12', '10-14'].map((part) => `e-0-${part}.ffffffff.parquet`)
  const paths = [...names, 'e-0-of-somebody.parquet'].map((name) => join(days, name))
  for (const path of paths) writeFileSync(path, 'PAR1')
  const options = { topic: 'e', partition: 0, graceMs: 0, logStart, nowMs: Date.now() + 1_000 }
  const removed = await removeOrphans(lake, options)
  const left = paths.filter((path) => existsSync(path)).map((path) => path.slice(days.length + 1))
  expect(removed).toHaveLength(paths.length - left.length)
  return left.map((name) => /^e-0-(.+?)\./.exec(name)?.[1] ?? name)
}

test('I5: an unnamed file whose rows are nowhere else stays', async () => {
  expect(await leftAfter(20)).toEqual(['3-4', '5-8', '8-12', '10-14', 'of-somebody'])
})

test('an unnamed file whose rows the log still has is removed', async () => {
  expect(await leftAfter(0)).toEqual(['of-somebody'])
})

test('the log must hold an unnamed file from its first row on', async () => {
  expect(await leftAfter(9)).toEqual(['3-4', '5-8', '8-12', 'of-somebody'])
})
