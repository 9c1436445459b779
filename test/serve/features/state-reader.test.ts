import { describe, expect, test } from 'vitest'
import { riverbank } from '../../../features/index.ts'
import { seeded } from '../../../scripts/fuzz/definitions.ts'
import { compilePlan } from '../../../src/compile/plan.ts'
import { createMemoryEngine } from '../../../src/engine/memory-engine.ts'
import type { StatesStatus } from '../../../src/engine/states-status.ts'
import { encodeState } from '../../../src/engine/state-codec/state-blob.ts'
import { createValues } from '../../../src/scoring/vector.ts'
import { createFeatureReader } from '../../../src/serve/features/state-reader.ts'
import { featureSet, nowMs, postJson, problemOf, serveFixture } from '../support/serve-fixture.ts'
import { testSeed as seed } from '../../support/seed.ts'

const plan = compilePlan(riverbank)
const { names: valueNames, valuesOf } = createValues(plan.values)

/** The engine that scores, and an application over the states as it leaves them. */
function world() {
  const engine = createMemoryEngine(plan)
  const load = async (keys: readonly { readonly entity: string; readonly id: string }[]) =>
    keys.map(({ entity, id }) => {
      const index = plan.entities.findIndex(({ name }) => name === entity)
      const [entityPlan, state] = [plan.entities[index], engine.states[index]?.get(id)]
      return entityPlan === undefined || state === undefined ? null : encodeState(entityPlan, state)
    })
  const { app } = serveFixture({
    deps: {
      features: createFeatureReader({ load, layouts: async () => new Map() }, plan, { nowMs: () => Date.now() }),
    },
  })
  let offset = 0
  const pay = (customerId: string, terminalId: string, amountMinor: number, timeMs: number) => {
    const event = {
      eventId: `p${offset}`,
      eventType: 'payment.initiated',
      timestamp: timeMs,
      aggregateId: customerId,
      aggregateType: 'customer',
      version: 2,
      data: { customerId, terminalId, amountMinor, currency: 'EUR' },
    }
    const position = { partition: 0, offset, appendTimeMs: nowMs + offset }
    offset += 1
    const snapshots = engine.apply(event, timeMs, position, true)
    const values = valuesOf(snapshots, { amountMinor }, timeMs)
    return Object.fromEntries(valueNames.map((name, i) => [name, values[i] ?? null]))
  }
  return { app, pay }
}

interface Answer {
  readonly metadata: { readonly feature_names: readonly string[] }
  readonly results: readonly { readonly values: readonly unknown[]; readonly statuses: readonly string[] }[]
}

/** What the application would be told about a payment before it happens, by feature. */
async function asked(
  app: ReturnType<typeof world>['app'],
  path: string,
  {
    customerId,
    terminalId,
    amountMinor,
    timeMs,
  }: Record<'customerId' | 'terminalId', string> & {
    readonly amountMinor: number
    readonly timeMs: number
  },
) {
  const body = {
    features: valueNames,
    entities: { customer: [customerId], terminal: [terminalId] },
    request: { amountMinor },
    asOf: timeMs,
    full_feature_names: true,
  }
  const response = await app.request(path, postJson(body))
  expect(response.status).toBe(200)
  const { metadata, results } = (await response.json()) as Answer
  const of = (read: (result: Answer['results'][number]) => unknown) =>
    Object.fromEntries(metadata.feature_names.slice(2).map((name, i) => [name, read(results[i + 2] as never)]))
  return { values: of(({ values }) => values[0]), statuses: of(({ statuses }) => statuses[0]) }
}

describe.each(['/v1/features', '/get-online-features'])('%s', (path) => {
  test(`I3: answers what scoring uses, seen entities and unseen ones, seed ${seed}`, async () => {
    const random = seeded(seed)
    const { app, pay } = world()
    let unseen = 0
    for (let n = 0; n < 60; n += 1) {
      const payment = {
        customerId: `c${random.below(6)}`,
        terminalId: `t${random.below(6)}`,
        amountMinor: random.below(50_000),
        // Never older than what a state remembers: those reads are OUTSIDE_MAX_AGE.
        timeMs: nowMs + n * 7_200_000 - random.below(10_000_000),
      }
      const { values, statuses } = await asked(app, path, payment)
      unseen += Object.values(statuses).filter((status) => status === 'NOT_FOUND').length
      const { customerId, terminalId, amountMinor, timeMs } = payment
      expect(values).toEqual(pay(customerId, terminalId, amountMinor, timeMs))
    }
    expect(unseen).toBeGreaterThan(100)
  })

  test('a payment of a new pair is the first here, and says that nobody has seen the pair', async () => {
    const { app, pay } = world()
    const payment = { customerId: 'c1', terminalId: 't1', amountMinor: 1_250, timeMs: nowMs }
    const before = await asked(app, path, payment)
    expect(before.values).toMatchObject({
      first_here: 1,
      customer_at_terminal__payment_count_lifetime: 0,
      amount_z_score_30d: 0,
    })
    expect(before.statuses).toMatchObject({
      first_here: 'PRESENT',
      customer_at_terminal__payment_count_lifetime: 'NOT_FOUND',
      customer_spend__amount_mean_30d: 'NOT_FOUND',
    })
    pay('c1', 't1', 1_250, nowMs)
    const after = await asked(app, path, { ...payment, timeMs: nowMs + 1_000 })
    expect(after.values).toMatchObject({ first_here: 0, customer_at_terminal__payment_count_lifetime: 1 })
    expect(after.statuses).toMatchObject({ customer_at_terminal__payment_count_lifetime: 'PRESENT' })
    // The customer and the terminal are known by now, and the other pair is not.
    pay('c1', 't2', 100, nowMs + 2_000)
    const other = await asked(app, path, { ...payment, customerId: 'c2', terminalId: 't2', timeMs: nowMs + 3_000 })
    expect(other.values).toMatchObject({ first_here: 1, terminal_activity__payment_count_1h: 1 })
  })
})

test('one entity: the same values as for many', async () => {
  const { app, pay } = world()
  pay('c1', 't1', 1_250, nowMs)
  for (const [entity, id, found] of [
    ['customer', 'c1', true],
    ['customer', 'c2', false],
    ['customer_terminal', 'c1%7Ct9', false],
  ] as const) {
    const response = await app.request(`/v1/entities/${entity}/${id}/features?asOf=${nowMs + 1_000}`)
    const one = (await response.json()) as { found: boolean; values: Record<string, unknown> }
    expect(one.found).toBe(found)
    const [customerId = '', terminalId = 't9'] = decodeURIComponent(id).split('|')
    const many = await asked(app, '/v1/features', { customerId, terminalId, amountMinor: 0, timeMs: nowMs + 1_000 })
    const names = featureSet.features.filter((feature) => feature.entity === entity).map(({ name }) => name)
    expect(one.values).toEqual(Object.fromEntries(names.map((name) => [name, many.values[name]])))
  }
})

describe('states that are refused', () => {
  const lost: StatesStatus = { kind: 'refused', code: 'state_lost', reason: 'run riverbank rebuild' }
  const key = { entity: 'customer', id: 'c-1' }
  const reader = (statesStatus: StatesStatus, confirm: () => Promise<StatesStatus>) =>
    createFeatureReader({ load: async (keys) => keys.map(() => null), layouts: async () => new Map() }, plan, at, {
      statesStatus: () => statesStatus,
      confirm,
    })
  const at = { nowMs: () => nowMs }

  test('are not read: the request fails with their code', async () => {
    const unasked = () => Promise.reject(new Error('nobody looks again'))
    await expect(reader(lost, unasked).read([key], nowMs)).rejects.toMatchObject({ code: 'state_lost' })
  })

  test('are noticed by the first reader of an entity that has no state', async () => {
    const features = reader({ kind: 'whole' }, () => Promise.resolve(lost))
    await expect(features.read([key], nowMs)).rejects.toMatchObject({ code: 'state_lost' })
    const { app } = serveFixture({ deps: { features } })
    await problemOf(await app.request('/v1/entities/customer/c-1/features'), 'state_lost')
    const body = { features: ['customer_spend__payment_count_1d'], entities: { customer: ['c-1'] } }
    for (const path of ['/v1/features', '/get-online-features']) {
      const response = await app.request(path, postJson(body))
      expect(response.status, path).toBe(503)
      expect(response.headers.get('retry-after')).toBe('10')
      await problemOf(response, 'state_lost')
    }
  })

  test('answer an entity without a state once a look has said that they are whole', async () => {
    const whole = reader({ kind: 'whole' }, () => Promise.resolve({ kind: 'whole' }))
    expect(await whole.read([key], nowMs)).toMatchObject([{ found: false }])
  })
})
