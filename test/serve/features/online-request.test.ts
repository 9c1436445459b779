import { describe, expect, test } from 'vitest'
import { riverbank } from '../../../features/index.ts'
import { compilePlan } from '../../../src/compile/plan.ts'
import { createFeatureReader } from '../../../src/serve/features/state-reader.ts'
import { nowMs, postJson, problemOf, serveFixture } from '../support/serve-fixture.ts'

/** The reader that serves, over states of nobody: windows are empty, and only the request tells rows apart. */
const features = createFeatureReader(
  { load: async (keys) => keys.map(() => null), layouts: async () => new Map() },
  compilePlan(riverbank),
  { nowMs: () => nowMs },
)
const post = (body: unknown) => serveFixture({ deps: { features } }).app.request('/get-online-features', postJson(body))

interface Answer {
  readonly metadata: { readonly feature_names: string[] }
  readonly results: { readonly values: unknown[]; readonly statuses: string[] }[]
}
const read = async (body: unknown) => {
  const response = await post(body)
  expect(response.status).toBe(200)
  const { metadata, results } = (await response.json()) as Answer
  return Object.fromEntries(metadata.feature_names.map((name, at) => [name, results[at]?.values]))
}

const entities = { customer: [1, '1', 2], terminal: ['t-1', 't-1', 't-2'] }
const night = '2026-03-01T03:00:00Z'

describe('request data of online features', () => {
  test('are a list with one value per row, as Feast has them, or one value for all rows', async () => {
    const names = { features: ['amount', 'night'], entities }
    const rows = await read({ ...names, request: { amountMinor: [100, 250, 0], time: [night, nowMs, nowMs] } })
    expect(rows).toMatchObject({ amount: [1, 2.5, 0], night: [1, 0, 0] })
    const one = await read({ ...names, request: { amountMinor: 100, currency: ['EUR', 'EUR', 'EUR'], time: night } })
    expect(one).toMatchObject({ amount: [1, 1, 1], night: [1, 1, 1] })
  })

  test('a derived feature that reads none has a value without them, and one that does has none', async () => {
    const names = ['terminal_risk_7d', 'amount', 'amount_to_mean_30d', 'night', 'customer_payments_1d']
    const expected = await read({ features: names, entities, request: { amountMinor: 100 } })
    const rows = await read({ features: names, entities })
    const missing = [null, null, null]
    expect(expected['terminal_risk_7d']).toEqual([0, 0, 0])
    expect(rows['terminal_risk_7d']).toEqual(expected['terminal_risk_7d'])
    expect(rows).toMatchObject({ amount: missing, amount_to_mean_30d: missing, night: missing })
    expect(expected['amount_to_mean_30d']).toEqual([1, 1, 1])
  })

  test('lists must have the length of the rows, and of each other', async () => {
    for (const request of [{ amountMinor: [1, 2] }, { amountMinor: [1, 2, 3], time: [night] }, { amountMinor: [] }]) {
      await problemOf(await post({ features: ['amount'], entities, request }), 'invalid_request')
    }
  })
})

test('ids keep the type that they were asked with', async () => {
  expect(await read({ features: ['customer_spend:payment_count_1d'], entities })).toMatchObject(entities)
})
