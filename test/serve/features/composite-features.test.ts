import { describe, expect, test } from 'vitest'
import type { EntityKey } from '../../../src/ports/states.ts'
import type { EntityFeatures, FeatureReader } from '../../../src/serve/features/feature-reader.ts'
import { featuresOf, nowMs, postJson, problemOf, serveFixture, valuesOf } from '../support/serve-fixture.ts'

const lifetime = 'customer_at_terminal__payment_count_lifetime'
const distinct = 'customer_reach__terminal_distinct_7d'
const found = { found: true, newestTimeMs: nowMs - 1_000, sequence: 3 }
const pair: EntityFeatures = {
  ...found,
  key: { entity: 'customer_terminal', id: 'c-1|t-1' },
  values: valuesOf('customer_terminal', { [lifetime]: 2 }),
  flags: [],
}
const customer: EntityFeatures = {
  ...found,
  key: { entity: 'customer', id: 'c-1' },
  values: valuesOf('customer', { [distinct]: 64, customer_spend__payment_count_1h: 3 }),
  flags: [{ feature: featuresOf('customer').indexOf(distinct), flag: 'saturated' }],
}
const entities = { 'customer_terminal:c-1|t-1': pair, 'customer:c-1': customer }

interface Answer {
  readonly metadata: { readonly feature_names: string[] }
  readonly results: { readonly values: unknown[]; readonly statuses: string[]; readonly flags?: unknown[] }[]
}

describe('one composite entity', () => {
  test('is read by its percent-encoded id', async () => {
    const { app } = serveFixture({ entities })
    const response = await app.request(`/v1/entities/customer_terminal/c-1%7Ct-1/features?features=${lifetime}`)
    expect(await response.json()).toMatchObject({ id: 'c-1|t-1', found: true, values: { [lifetime]: 2 } })
    const unseen = await app.request('/v1/entities/customer_terminal/c-1%7Ct-2/features')
    expect(await unseen.json()).toMatchObject({ id: 'c-1|t-2', found: false })
  })

  test.each(['c-1', 'c-1%7C', '%7Ct-1', '%7C', 'c-1%7Ct-1%7Cx'])('has no id %s', async (id) => {
    const response = await serveFixture({ entities }).app.request(`/v1/entities/customer_terminal/${id}/features`)
    expect((await problemOf(response, 'invalid_entity_id'))['detail']).toContain('customerId|terminalId')
  })

  test('a single id cannot hold what separates the parts of others', async () => {
    const response = await serveFixture({ entities }).app.request('/v1/entities/customer/c-1%7Ct-1/features')
    await problemOf(response, 'invalid_entity_id')
  })
})

test('flags stand next to the statuses, and only when there are some of the features asked for', async () => {
  const { app } = serveFixture({ entities })
  const read = async (query: string) => (await app.request(`/v1/entities/customer/c-1/features?${query}`)).json()
  expect(await read('')).toMatchObject({ flags: { [distinct]: 'saturated' } })
  expect(await read('features=customer_spend__payment_count_1h')).not.toHaveProperty('flags')
  // Before what the state remembers there is no value to say anything about.
  expect(await read('asOf=2020-01-01T00:00:00Z')).not.toHaveProperty('flags')
})

test("flags are a member of our own answer, and Feast's is left as its clients know it", async () => {
  const { app } = serveFixture({ entities })
  const body = { features: [distinct, 'customer_spend:payment_count_1h'], entities: { customer: ['c-9', 'c-1'] } }
  const read = async (path: string) => (await (await app.request(path, postJson(body))).json()) as Answer
  const own = await read('/v1/features')
  expect(own.results.map(({ flags }) => flags)).toEqual([undefined, [null, 'saturated'], undefined])
  const feast = await read('/get-online-features')
  expect(feast.results.map((result) => Object.keys(result))).toEqual(
    Array(3).fill(['values', 'statuses', 'event_timestamps']),
  )
  const document = await (await app.request('/openapi.json')).text()
  expect(document).toContain('ask /v1/features')
})

describe.each(['/v1/features', '/get-online-features'])('composite entities of many rows: %s', (path) => {
  test.each([
    { customer: ['c-1', 'c-1'], terminal: ['t-1', 't-2'] },
    { terminalId: ['t-1', 't-2'], customerId: ['c-1', 'c-1'] },
  ])('are composed of the columns of their parts: %o', async (columns) => {
    const { app } = serveFixture({ entities })
    const answer = (await (
      await app.request(path, postJson({ features: [lifetime], entities: columns }))
    ).json()) as Answer
    expect(answer.metadata.feature_names).toEqual([...Object.keys(columns), 'payment_count_lifetime'])
    expect(answer.results.at(-1)).toMatchObject({ values: [2, 0], statuses: ['PRESENT', 'NOT_FOUND'] })
  })

  test('are read by their own name, which wins over the parts', async () => {
    const calls: (readonly EntityKey[])[] = []
    const features: FeatureReader = {
      read: async (keys) => {
        calls.push(keys)
        return keys.map((key) => ({ ...pair, key }))
      },
    }
    const { app } = serveFixture({ deps: { features } })
    const own = { customer_terminal: ['c-1|t-1'] }
    const direct = (await (await app.request(path, postJson({ features: [lifetime], entities: own }))).json()) as Answer
    expect(direct.results.map(({ values }) => values)).toEqual([['c-1|t-1'], [2]])
    await app.request(
      path,
      postJson({ features: [lifetime], entities: { ...own, customer: ['c-2'], terminal: ['t'] } }),
    )
    expect(calls.flat().filter(({ entity }) => entity === 'customer_terminal')).toEqual([pair.key, pair.key])
  })

  test('give their values to derived features', async () => {
    const seen: unknown[] = []
    const features: FeatureReader = {
      read: async (keys) => keys.map((key) => (key.entity === 'customer_terminal' ? pair : { ...customer, key })),
      derive: (names, rows) => {
        const own = rows.find(({ key }) => key.entity === 'customer_terminal')
        seen.push(own?.values[featuresOf('customer_terminal').indexOf(lifetime)])
        return names.map((name) => (name === 'first_here' ? 0 : null))
      },
    }
    const { app } = serveFixture({ deps: { features } })
    const body = { features: ['first_here'], entities: { customer: ['c-1'], terminal: ['t-1'] } }
    const response = await app.request(path, postJson({ ...body, request: { amountMinor: 1 } }))
    expect(((await response.json()) as Answer).results.at(-1)?.values).toEqual([0])
    expect(seen).toEqual([2])
  })

  test.each([
    [['terminal'], { customer: ['c-1'] }, 'terminalId missing'],
    [['customer'], { terminalId: ['t-1'] }, 'customerId missing'],
    [['customer', 'terminal'], {}, 'customerId and terminalId missing'],
  ])('are missing %o when %o is given', async (names, columns, detail) => {
    const { app } = serveFixture({ entities })
    const response = await app.request(path, postJson({ features: [lifetime], entities: columns }))
    const problem = await problemOf(response, 'missing_entity')
    expect(problem['names']).toEqual(names)
    expect(problem['detail']).toContain(detail)
  })

  test.each(['c-1', 'c-1|', '|t-1', 'a|b|c', 'a b|t-1', ''])('refuses the id %s', async (id) => {
    const body = { features: [lifetime], entities: { customer_terminal: ['c-1|t-1', id] } }
    const response = await serveFixture({ entities }).app.request(path, postJson(body))
    expect((await problemOf(response, 'invalid_entity_id'))['names']).toEqual(['customer_terminal'])
  })
})
