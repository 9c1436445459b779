import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Explainer } from '../../../src/scoring/explain/explainer.ts'
import { modelExplanations } from '../../../src/app/roles/model-explanations.ts'
import type { PaymentScored } from '../../support/payment-scores.ts'
import { foundScore, paymentScore, problemOf, serveFixture, type Fixture } from '../support/serve-fixture.ts'

interface Shipped {
  readonly features: readonly string[]
  readonly golden: { readonly vectors: readonly (readonly number[])[]; readonly scores: readonly number[] }
}
const shipped = JSON.parse(readFileSync('models/fraud/1/manifest.json', 'utf8')) as Shipped
const row = shipped.golden.scores.findIndex((score) => score > 0.5)

function scored(changes: Partial<PaymentScored> = {}): PaymentScored {
  const features = Object.fromEntries(
    shipped.features.map((name, i) => [name, shipped.golden.vectors[row]?.[i] ?? null]),
  )
  return paymentScore('p-1', { score: shipped.golden.scores[row] ?? NaN, features, ...changes })
}

function serving(score: PaymentScored, explanations = modelExplanations('models')): Fixture {
  return serveFixture({
    deps: { lake: { scores: async () => [foundScore(score)], event: async () => null }, explanations },
  })
}

const path = '/v1/scores/p-1/explanation'

test('base and contributions add up to the log odds of the score', async () => {
  const response = await serving(scored()).app.request(path)
  expect(response.status).toBe(200)
  const body = (await response.json()) as {
    base: number
    sum: number
    logOdds: number
    score: number
    contributions: { feature: string; value: number; contribution: number }[]
    reasons: { feature: string; contribution: number; text: string }[]
  }
  expect(body.contributions.map(({ feature }) => feature).sort()).toEqual([...shipped.features].sort())
  const sum = body.contributions.reduce((total, { contribution }) => total + contribution, 0)
  expect(body.sum).toBeCloseTo(sum, 12)
  expect(body.logOdds).toBeCloseTo(body.base + body.sum, 12)
  expect(1 / (1 + Math.exp(-body.logOdds))).toBeCloseTo(body.score, 6)
  const strongest = body.contributions.filter(({ contribution }) => contribution > 0)
  expect(body.reasons.map(({ feature }) => feature)).toEqual(strongest.slice(0, 4).map(({ feature }) => feature))
  expect(body.reasons[0]?.text).not.toBe('')
})

test('of a model that adds up probabilities the contributions are parts of the probability', async () => {
  const explainer: Explainer = {
    ...{ features: shipped.features, stats: shipped.features.map(() => null), base: 0.25 },
    ...{ unit: 'probability', method: 'propagated' },
    contributions: () => Float64Array.from(shipped.features, (_, i) => (i === 0 ? 0.5 : 0)),
  }
  const { app } = serving(scored({ score: 0.75 }), async () => ({ kind: 'available', explainer }))
  const body: unknown = await (await app.request(path)).json()
  expect(body).toMatchObject({ unit: 'probability', method: 'propagated', base: 0.25, sum: 0.5, score: 0.75 })
  expect(body).not.toHaveProperty('logOdds')
})

test('what cannot be explained says why', async () => {
  const { app } = serveFixture()
  await problemOf(await app.request(path), 'score_not_found')
  const gone = serving(scored({ model: { name: 'fraud', version: '99' } }))
  await problemOf(await gone.app.request(path), 'model_not_found')
  const outside = serving(scored({ model: { name: '../fraud', version: '1' } }))
  await problemOf(await outside.app.request(path), 'model_not_found')
  const trees = serving(scored(), async () => ({
    kind: 'unavailable',
    code: 'no_trees',
    reason: 'the model is no tree ensemble',
  }))
  const problem = await problemOf(await trees.app.request(path), 'explanation_unavailable')
  expect(problem['detail']).toBe('model fraud/1: the model is no tree ensemble')
  const { amount: _amount, ...others } = scored().features
  await problemOf(await serving(scored({ features: others })).app.request(path), 'explanation_unavailable')
  await problemOf(await serving(scored({ score: 0.1 })).app.request(path), 'explanation_mismatch')
})

test('the API description has the explanation route', async () => {
  const response = await serveFixture().app.request('/openapi.json')
  const { paths } = (await response.json()) as { paths: Record<string, { get?: { operationId: string } }> }
  expect(paths['/v1/scores/{eventId}/explanation']?.get?.operationId).toBe('explainScore')
})
