import { expect, test } from 'vitest'
import type { LostRange } from '../../../src/lake/commit/commit.ts'
import { topics } from '../support/feed.ts'
import { lake } from '../support/fresh-lake.ts'
import { pay, positionsOf, run, verify, write } from './support/world.ts'
import { range } from '../support/read.ts'

/** Files of two payments each, without those that begin at these offsets; `lost` is declared instead. */
async function checked(withoutAt: readonly number[], lost: readonly LostRange[]) {
  const day = Date.UTC(2026, 2, 1)
  const content = await run(range(0, 12).map((i) => pay(`p${i}`, day + i * 1_000, day + i * 1_000)))
  await write(lake, content, 2)
  const files = (await lake.snapshot()).files.filter(({ table, firstOffset }) => {
    return table === 'events' && withoutAt.includes(firstOffset)
  })
  expect(files).toHaveLength(withoutAt.length)
  await lake.log.commit({ removed: files.map(({ path }) => path), lost })
  const { I5 } = (await verify(lake, { positions: positionsOf(content) })).invariants
  return [I5.counts['offsets lost'] ?? 0, I5.byCode]
}

const rangeOf = (firstOffset: number, lastOffset: number, change: Partial<LostRange> = {}): LostRange => ({
  ...{ table: 'events', topic: topics.events, partition: 1, firstOffset, lastOffset },
  ...{ rows: lastOffset - firstOffset + 1, ...change },
})

test('I5: what was declared lost is not missing', async () => {
  expect(await checked([4, 8], [rangeOf(4, 5), rangeOf(8, 9, { table: null, rows: null })])).toEqual([4, {}])
})

test('I5: lost offsets below the first row that is left excuse nothing above it', async () => {
  expect(await checked([0, 4], [rangeOf(0, 1)])).toEqual([2, { offset_missing: 2 }])
})

test('I5: lost offsets that a file holds excuse nothing', async () => {
  expect(await checked([4], [rangeOf(8, 9)])).toEqual([0, { offset_missing: 2 }])
})

test('I5: an offset that was declared lost twice is lost once', async () => {
  expect(await checked([4, 8], [rangeOf(4, 5), rangeOf(4, 5, { table: null, rows: null })])).toEqual([
    2,
    { offset_missing: 2 },
  ])
})
