import { expect, test } from 'vitest'
import { compilePolicy, parsePolicy } from '../../../../src/scoring/policy.ts'
import { servicePlan } from '../../../../src/scoring/service.ts'
import { renderVerify } from '../../../../src/lake/verify/text.ts'
import type { LoadedPolicy } from '../../../../src/lake/verify/scores/verdicts.ts'
import type { VerifyOptions } from '../../../../src/lake/verify/verify.ts'
import type { Scorer } from '../../../../src/ports/scorer.ts'
import { day } from '../../support/feed.ts'
import { lake } from '../../support/fresh-lake.ts'
import { edit, pay, plan, positionsOf, read, run, scorer, verify, write, type LogContent } from '../support/world.ts'

const service = servicePlan(plan, scorer.service)
const policy = parsePolicy({
  ...{ format: 2, version: '7', thresholds: { review: 0.6, block: 0.95 } },
  allow: { customer: ['c3'] },
  rules: [
    { name: 'large', when: [{ value: 'event.amountMinor', is: '>=', than: 400_000 }], decision: 'block' },
    // Null for a first payment: the condition does not hold.
    { name: 'steady', when: [{ value: 'customer_spend__amount_mean_30d', is: '>', than: 100 }], decision: 'review' },
  ],
})
const decider = compilePolicy(policy, service)
const deciding: Scorer = { ...scorer, decider }
const loaded: LoadedPolicy = { names: service.names, decide: decider.decide }

/** Everything the policy can say: by a list, by both rules, by the thresholds. */
const payments = [
  pay('p0', day, day, { amount: 90 }),
  pay('p1', day + 1, day + 1, { amount: 500_000 }),
  pay('p2', day + 2, day + 2, { customer: 'c2', amount: 150_000 }),
  pay('p3', day + 10_000, day + 10_000, { amount: 70 }),
  pay('p4', day + 4, day + 4, { customer: 'c3', amount: 500_000 }),
]
const saidOf = (content: LogContent) =>
  content.scores.map((record) => read(record).data as { policy?: object; reasonsUnavailable?: string })

async function check(content: LogContent, change: Partial<VerifyOptions> = {}) {
  await write(lake, content)
  const loadPolicy = () => Promise.resolve(loaded)
  const report = await verify(lake, { positions: positionsOf(content), loadPolicy, ...change })
  return { report, I3: report.invariants.I3 }
}

test('what a policy decided, and by which of its parts, follows from the row', async () => {
  const content = await run(payments, deciding)
  expect(new Set(saidOf(content).map(({ policy: by }) => (by as { decidedBy: string }).decidedBy))).toEqual(
    new Set(['model', 'rule:large', 'rule:steady', 'allow_list:customer']),
  )
  const { report, I3 } = await check(content)
  expect(report, renderVerify(report)).toMatchObject({ ok: true, violations: 0 })
  expect(I3.counts['decisions of policies recomputed']).toBe(payments.length)
})

test.each([
  ['another decision', { decision: 'review' }],
  ['another part of the policy', { policy: { version: '7', decidedBy: 'block_list:terminal' } }],
])('%s is a mismatch with both verdicts and the policy', async (_, change) => {
  const content = await run(payments, deciding)
  edit(content.scores, 4, ({ data }) => Object.assign(data, change))
  const { I3 } = await check(content)
  expect(I3.byFeature['decision']).toBe(1)
  const [example] = I3.examples.filter(({ fields }) => fields['feature'] === 'decision')
  expect(example?.fields).toMatchObject({
    ...{ id: 'c3', cause: 'p4', recomputed: 'approve by allow_list:customer', definition: 'policy mean/1@7' },
  })
  expect(example?.fields['logged']).toMatch(/^review by allow_list|^approve by block_list/)
})

test('a policy that is not there any more is counted, and no violation', async () => {
  const { report, I3 } = await check(await run(payments, deciding), { loadPolicy: () => Promise.resolve(null) })
  expect(report.ok).toBe(true)
  expect(I3.counts['decisions of policies not recomputed']).toBe(payments.length)
})

test('the scores of shadows are recomputed; where one had failed there is nothing to compare', async () => {
  const shadow: Scorer = {
    ...{ ...scorer, name: 'other', version: '3' },
    async score(vectors, rows) {
      const scores = await scorer.score(vectors, rows)
      return vectors[0] === 0.9 ? scores.fill(NaN) : scores.map((score) => score / 3)
    },
  }
  const content = await run(payments, scorer, [shadow])
  const { report, I3 } = await check(content, { scorers: [scorer, shadow] })
  expect(report, renderVerify(report)).toMatchObject({ ok: true, violations: 0 })
  const scored = saidOf(content).filter((data) => Object.values((data as { shadows: object }).shadows)[0] !== null)
  expect(I3.counts['scores of shadows recomputed']).toBe(scored.length)
  const lied = { ...shadow, score: (vectors: Float32Array, rows: number) => scorer.score(vectors, rows) }
  const again = await verify(lake, { positions: positionsOf(content), scorers: [scorer, lied] })
  expect(again.invariants.I3.byFeature).toEqual({ 'score of the shadow other/3': scored.length })
  const gone = await verify(lake, { positions: positionsOf(content) })
  expect(gone).toMatchObject({ ok: true })
  expect(gone.invariants.I3.counts['scores of shadows not recomputed']).toBe(payments.length)
})

const silent: Scorer = { ...scorer, explanations: { kind: 'unavailable', code: 'no_covers', reason: 'none' } }

test('a model that cannot say why is no mismatch', async () => {
  const { report } = await check(await run(payments, silent), { scorers: [silent] })
  expect(report, renderVerify(report)).toMatchObject({ ok: true, violations: 0 })
})

test('why a model cannot say is recomputed, too: another code, and one of what was approved', async () => {
  const content = await run(payments, silent)
  const said = saidOf(content).filter((data) => 'reasonsUnavailable' in data)
  expect(said.length).toBeGreaterThan(0)
  expect(new Set(said.map(({ reasonsUnavailable }) => reasonsUnavailable))).toEqual(new Set(['no_covers']))
  const changed = { ...content, scores: [...content.scores] }
  const places = [true, false].map((has) => saidOf(content).findIndex((data) => 'reasonsUnavailable' in data === has))
  for (const place of places)
    edit(changed.scores, place, ({ data }) => Object.assign(data, { reasonsUnavailable: 'no_trees' }))
  expect((await check(changed, { scorers: [silent] })).I3.byFeature).toEqual({ reasons: 2 })
})

test('reasons are recomputed to the letter: one that is worded otherwise, and one of what was approved', async () => {
  const content = await run(payments)
  const alerts = saidOf(content).filter((data) => 'reasons' in data)
  expect(alerts.length).toBeGreaterThan(0)
  expect(alerts.length).toBeLessThan(payments.length)
  const changed = { ...content, scores: [...content.scores] }
  const [alert, approved] = [true, false].map((has) => saidOf(content).findIndex((data) => 'reasons' in data === has))
  edit(changed.scores, alert ?? -1, ({ data }) => {
    const [first] = (data as unknown as { reasons: { text: string }[] }).reasons
    if (first !== undefined) first.text += '!'
  })
  edit(changed.scores, approved ?? -1, ({ data }) => Object.assign(data, { reasons: [] }))
  const { I3 } = await check(changed)
  expect(I3.byFeature).toEqual({ reasons: 2 })
  expect(I3.counts['reasons recomputed']).toBe(alerts.length)
})
