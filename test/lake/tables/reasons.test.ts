import { expect, test } from 'vitest'
import { lakeLookupDefaults, openLakeLookup } from '../../../src/app/roles/score-lookup.ts'
import type { ScoreData } from '../../../src/scoring/output-events.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'
import type { Scorer } from '../../../src/ports/scorer.ts'
import { catalog, day, tempFolder } from '../support/feed.ts'
import { ask } from '../support/read.ts'
import { schema, pay, run, scorer, write, type LogContent } from '../verify/support/world.ts'

/** The model of the world approves what is small. */
const sent = [
  pay('small', day, day, { customer: 'c1', amount: 100 }),
  pay('large', day + 1_000, day + 1_000, { customer: 'c3', terminal: 't2', amount: 9_000_000 }),
]

function scoresOf({ scores }: LogContent): Map<string, ScoreData> {
  const events = scores.map(({ value }) => JSON.parse(new TextDecoder().decode(value)) as { data: ScoreData })
  return new Map(events.map(({ data }) => [String(data['paymentId']), data]))
}

test('I2: what is not approved says why, the same in every copy; what is approved says nothing', async () => {
  const content = await run(sent)
  const scores = scoresOf(content)
  expect(scores.get('small')?.decision).toBe('approve')
  expect(scores.get('small')).not.toHaveProperty('reasons')
  const large = scores.get('large')
  expect(large?.decision).toBe('block')
  expect(large?.reasons).toHaveLength(4)
  const [first] = large?.reasons ?? []
  expect(first).toMatchObject({ feature: 'amount', code: 'amount', value: 90_000, contribution: 90_000 })
  expect(first?.text).toBe('a payment of 90000.00, usually 0.00')
  expect((await run(sent)).scores).toEqual(content.scores)
})

test('what is not approved by a model that cannot say why says so, in the lake as well', async () => {
  const folder = tempFolder()
  try {
    const silent: Scorer = { ...scorer, explanations: { kind: 'unavailable', code: 'no_covers', reason: 'none' } }
    const content = await run(sent, silent)
    const scores = scoresOf(content)
    expect(scores.get('large')).toMatchObject({ decision: 'block', reasonsUnavailable: 'no_covers' })
    expect(scores.get('large')).not.toHaveProperty('reasons')
    expect(scores.get('small')).not.toHaveProperty('reasonsUnavailable')
    const lake = await openLake({ dir: folder.dir })
    await write(lake, content)
    const lookup = openLakeLookup({ ...lakeLookupDefaults, lake, schema, catalog, listBytesMax: 1 << 20 })
    const scoreOf = async (id: string) => (await lookup.scores(id, { aggregateId: null, known: [], max: 2 }))[0]?.data
    expect(await scoreOf('large')).toEqual(scores.get('large'))
    expect(await scoreOf('small')).not.toHaveProperty('reasonsUnavailable')
    await lookup.close()
  } finally {
    folder.remove()
  }
})

test('the lake keeps the reasons, and the lookup reads them back', async () => {
  const folder = tempFolder()
  try {
    const lake = await openLake({ dir: folder.dir })
    const content = await run(sent)
    await write(lake, content)
    const large = scoresOf(content).get('large')
    const rows = await ask(lake, 'SELECT payment_id, reasons FROM scores ORDER BY payment_id')
    expect(rows.map((row) => row['reasons'])).toEqual([JSON.stringify(large?.reasons), null])
    const lookup = openLakeLookup({ ...lakeLookupDefaults, lake, schema, catalog, listBytesMax: 1 << 20 })
    const scoreOf = async (id: string) => (await lookup.scores(id, { aggregateId: null, known: [], max: 2 }))[0]?.data
    expect((await scoreOf('large'))?.reasons).toEqual(large?.reasons)
    expect(await scoreOf('small')).not.toHaveProperty('reasons')
    await lookup.close()
  } finally {
    folder.remove()
  }
})
