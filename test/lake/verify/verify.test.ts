import { expect, test } from 'vitest'
import { riverbank } from '../../../features/index.ts'
import { compileManifest } from '../../../src/compile/manifest.ts'
import { renderVerify } from '../../../src/lake/verify/text.ts'
import { day } from '../support/feed.ts'
import { lake } from '../support/fresh-lake.ts'
import { ask } from '../support/read.ts'
import { pay, positionsOf, read, run, scorer, story, verify, write } from './support/world.ts'

const featureCount = compileManifest(riverbank).features.length
import { testSeed as seed } from '../../support/seed.ts'

test(`I1 I2 I3 I5: late, out-of-order, repeated and poisonous events verify, whatever the order (seed ${seed})`, async () => {
  const content = await run(story(seed))
  await write(lake, content)
  const report = await verify(lake, { positions: positionsOf(content) })
  expect(report, renderVerify(report)).toMatchObject({ ok: true, mismatches: 0, violations: 0, watermark: 'committed' })
  const { I1, I2, I3, I5 } = report.invariants
  const scored = content.scores.map(read).filter(({ type }) => type === 'payment.scored')
  expect(I2.counts).toMatchObject({ payments: 120, scores: 120, copies: 0 })
  expect(I3.counts).toMatchObject({ 'score rows': 120, values: 120 * featureCount, 'scores recomputed': 120 })
  expect(I1.counts).toMatchObject({ 'events applied': content.scores.length, customers: 3, terminals: 2 })
  expect(I1.counts['duplicates']).toBeGreaterThan(0)
  expect(I5.counts).toMatchObject({ offsets: content.events.length + content.scores.length })
  expect(scored.some(({ data }) => data.entities['customer']?.outcome === 'too_late')).toBe(true)
  expect(report.pending).toEqual({ eventRecords: 0, scoreRecords: 0, payments: 0, otherEvents: 0, reads: 0 })
})

test('I2: a payment without a score is applied, reported, and no violation; a shadow is a column', async () => {
  const failsOnce = {
    ...scorer,
    score: async (vectors: Float32Array, rows: number) => {
      const scores = await scorer.score(vectors, rows)
      return vectors[0] === 64 ? scores.fill(NaN) : scores
    },
  }
  const shadow = { ...scorer, name: 'other', version: '3' }
  const payments = [1_000, 6_400, 2_000].map((amount, i) => pay(`p${i}`, day + i, day + i, { amount }))
  const content = await run(payments, failsOnce, [shadow])
  await write(lake, content)
  const report = await verify(lake, { positions: positionsOf(content) })
  expect(report, renderVerify(report)).toMatchObject({ ok: true, violations: 0, pending: { payments: 0 } })
  expect(report.invariants.I2.counts).toMatchObject({ payments: 3, scores: 2 })
  const rows = await ask(
    lake,
    `SELECT payment_id, score, CAST(shadows ->> '$."other/3"' AS DOUBLE) AS other FROM scores`,
  )
  expect(rows.map((row) => row['payment_id']).toSorted()).toEqual(['p0', 'p2'])
  for (const row of rows) expect(row['other']).toBe(row['score'])
})
