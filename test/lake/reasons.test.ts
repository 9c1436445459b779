import { expect, test } from 'vitest'
import { lakeScoreLookup } from '../../src/app/score-lookup.ts'
import type { PaymentScored } from '../../src/core/emitted.ts'
import { openLake, type Lake } from '../../src/lake/lake.ts'
import type { Scorer, SqlRunner } from '../../src/ports.ts'
import { day, tempFolder } from './support/feed.ts'
import { ask } from './support/read.ts'
import { manifest, pay, run, scorer, write, type LogContent } from './verify/support/world.ts'

/** The model of the world approves what is small. */
const sent = [
  pay('small', day, day, { customer: 'c1', amount: 100 }),
  pay('large', day + 1_000, day + 1_000, { customer: 'c3', terminal: 't2', amount: 9_000_000 }),
]

function sqlOf(lake: Lake): Pick<SqlRunner, 'run'> {
  return {
    run: async (text) => {
      const found = await ask(lake, text)
      const columns = Object.keys(found[0] ?? {}).map((name) => ({ name, type: '' }))
      const cells = found.map((row) => columns.map(({ name }) => row[name]))
      return { columns, rows: cells, rowCount: cells.length, truncated: false, elapsedMs: 0 }
    },
  }
}

function scoresOf({ scores }: LogContent): Map<string, PaymentScored> {
  const events = scores.map(({ value }) => JSON.parse(new TextDecoder().decode(value)) as { data: PaymentScored })
  return new Map(events.map(({ data }) => [data.paymentId, data]))
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
    const lookup = lakeScoreLookup(sqlOf(lake), manifest)
    expect(await lookup.findScore('large')).toEqual(scores.get('large'))
    expect(await lookup.findScore('small')).not.toHaveProperty('reasonsUnavailable')
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
    const lookup = lakeScoreLookup(sqlOf(lake), manifest)
    expect((await lookup.findScore('large'))?.reasons).toEqual(large?.reasons)
    expect(await lookup.findScore('small')).not.toHaveProperty('reasons')
  } finally {
    folder.remove()
  }
})
