import { describe, expect, test } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import { dayMs } from '../../../src/base/units.ts'
import type { EntityKey } from '../../../src/ports/states.ts'
import type { EntityFeatures, FeatureReader } from '../../../src/serve/features/feature-reader.ts'
import { featureSet, nowMs, postJson, problemOf, serveFixture, valuesOf } from '../support/serve-fixture.ts'

const newestTimeMs = nowMs - 60_000
const customer: EntityFeatures = {
  key: { entity: 'customer', id: 'c-1' },
  found: true,
  newestTimeMs,
  sequence: 42,
  values: valuesOf('customer', { customer_spend__payment_count_1h: 3, customer_spend__amount_mean_5m: null }),
  flags: [],
}
const terminal: EntityFeatures = {
  key: { entity: 'terminal', id: 't-1' },
  found: true,
  newestTimeMs: nowMs - 1_000,
  sequence: 7,
  values: valuesOf('terminal', { terminal_activity__payment_count_1h: 11 }),
  flags: [],
}
const entities = { 'customer:c-1': customer, 'terminal:t-1': terminal }
const url = '/v1/entities/customer/c-1/features'

/** A reader that remembers what it was asked. */
function recordingReader() {
  const calls: { keys: readonly EntityKey[]; atMs: number }[] = []
  const reader: FeatureReader = {
    read: async (keys, atMs) => {
      calls.push({ keys, atMs })
      return keys.map((key) => ({ ...customer, key }))
    },
  }
  return { calls, reader }
}

describe('features of one entity', () => {
  test('come with status, time and freshness', async () => {
    const { app } = serveFixture({ entities })
    const names = 'customer_spend__payment_count_1h,customer_spend:amount_mean_5m'
    const response = await app.request(`${url}?features=${names}`)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({
      entity: 'customer',
      id: 'c-1',
      found: true,
      readAt: '2026-03-01T12:00:00.000Z',
      clock: 'now',
      values: { customer_spend__payment_count_1h: 3, customer_spend__amount_mean_5m: null },
      statuses: { customer_spend__payment_count_1h: 'PRESENT', customer_spend__amount_mean_5m: 'NULL_VALUE' },
      freshness: { newestObservation: '2026-03-01T11:59:00.000Z', ageMs: 60_000, sequence: 42 },
      featureSet: featureSet.hash,
    })
  })

  test('are all features of the entity when none is named', async () => {
    const { app } = serveFixture({ entities })
    const body = (await (await app.request(url)).json()) as { values: object }
    const names = featureSet.features.filter((f) => f.entity === 'customer').map((f) => f.name)
    expect(Object.keys(body.values)).toEqual(names)
  })

  test('of an entity that nobody has seen are NOT_FOUND, and those of empty windows', async () => {
    const { app } = serveFixture()
    const [counted, mean] = ['customer_spend__payment_count_1h', 'customer_spend__amount_mean_1h']
    const body = await (await app.request(`${url}?features=${counted},${mean}`)).json()
    expect(body).toMatchObject({
      found: false,
      values: { [counted]: 0, [mean]: null },
      statuses: { [counted]: 'NOT_FOUND', [mean]: 'NOT_FOUND' },
      freshness: { newestObservation: null, ageMs: null, sequence: null },
    })
  })

  test('are read at asOf, in either spelling', async () => {
    const { calls, reader } = recordingReader()
    const { app } = serveFixture({ deps: { features: reader } })
    const later = nowMs + 5_000
    for (const asOf of [String(later), new Date(later).toISOString(), '2026-03-01T13:00:05%2B01:00']) {
      const body = await (await app.request(`${url}?asOf=${asOf}`)).json()
      expect(body).toMatchObject({ clock: 'asOf', readAt: '2026-03-01T12:00:05.000Z' })
      expect(body).not.toHaveProperty('note')
    }
    expect(calls.map(({ atMs }) => atMs)).toEqual([later, later, later])
  })

  test('say so when asOf is before what the state has seen, and are no values before what it remembers', async () => {
    const { app } = serveFixture({ entities })
    const feature = 'customer_spend__payment_count_1h'
    const past = await (await app.request(`${url}?features=${feature}&asOf=${newestTimeMs - dayMs}`)).json()
    expect(past).toMatchObject({ values: { [feature]: 3 }, statuses: { [feature]: 'PRESENT' } })
    expect(past).toHaveProperty('note')
    const { horizonMs } = featureSet.entities.find(({ name }) => name === 'customer')!
    const at = async (ms: number) => (await app.request(`${url}?features=${feature}&asOf=${ms}`)).json()
    expect(await at(newestTimeMs - horizonMs)).toMatchObject({ statuses: { [feature]: 'PRESENT' } })
    expect(await at(newestTimeMs - horizonMs - 1)).toMatchObject({
      values: { [feature]: null },
      statuses: { [feature]: 'OUTSIDE_MAX_AGE' },
    })
  })

  test('of an id with reserved characters are those of the decoded id', async () => {
    const { calls, reader } = recordingReader()
    const { app } = serveFixture({ deps: { features: reader } })
    await app.request('/v1/entities/customer/a%3Ab%40c/features')
    expect(calls[0]?.keys).toEqual([{ entity: 'customer', id: 'a:b@c' }])
  })

  test.each(['a b', 'ü', 'a/b', '..', 'x'.repeat(65), 'x'.repeat(300), 'c-1|t-1', '\u0000', '-'.repeat(64) + '\n'])(
    'are refused for the id %j, which no event may name, at every route alike',
    async (id) => {
      const { calls, reader } = recordingReader()
      const { app } = serveFixture({ deps: { features: reader } })
      const features = ['customer_spend:payment_count_1h']
      const encoded = encodeURIComponent(id).replaceAll('.', '%2E')
      const answers = [
        await app.request(`/v1/entities/customer/${encoded}/features`),
        await app.request('/v1/features', postJson({ features, entities: { customer: ['c-1', id] } })),
        await app.request('/get-online-features', postJson({ features, entities: { customerId: [id] } })),
      ]
      // What clients make of two dots is another path.
      for (const answer of id === '..' ? answers.slice(1) : answers) {
        expect(answer.status).toBe(400)
        await problemOf(answer, 'invalid_entity_id')
      }
      expect(calls).toEqual([])
    },
  )

  test('are refused for what does not exist', async () => {
    const { app } = serveFixture({ entities })
    await problemOf(await app.request('/v1/entities/merchant/m-1/features'), 'unknown_entity')
    const other = await app.request(
      `${url}?features=nope,customer_spend__payment_count_1h,terminal_activity:payment_count_1h`,
    )
    expect(other.status).toBe(422)
    const problem = await problemOf(other, 'unknown_feature')
    expect(problem['names']).toEqual(['nope', 'terminal_activity:payment_count_1h'])
    await problemOf(await app.request('/v1/entities/toString/x/features'), 'unknown_entity')
  })

  test.each(['asOf=yesterday', 'asOf=', 'asOf=-5', 'asOf=2026-13-01T00:00:00Z', 'features=', 'features=a,,b'])(
    '?%s is refused',
    async (query) => {
      await problemOf(await serveFixture({ entities }).app.request(`${url}?${query}`), 'invalid_parameter')
    },
  )

  test('are 503 when the states are gone, and 500 without a word when the reader has a bug', async () => {
    const failing = (error: Error) => serveFixture({ deps: { features: { read: () => Promise.reject(error) } } })
    const gone = await failing(new RiverbankError('state_unavailable', 'gone', { canRetry: true })).app.request(url)
    expect([gone.status, gone.headers.get('retry-after')]).toEqual([503, '1'])
    await problemOf(gone, 'state_unavailable')
    const buggy = failing(new Error('secret at line 7'))
    const response = await buggy.app.request(url)
    expect(response.status).toBe(500)
    expect(JSON.stringify(await problemOf(response, 'internal_error'))).not.toContain('secret')
    expect(buggy.lines()).toContainEqual(expect.objectContaining({ level: 'error', message: 'request failed' }))
  })
})

describe.each(['/v1/features', '/get-online-features'])('features of many entities: %s', (path) => {
  test("answers in the shape of Feast's online API", async () => {
    const { app } = serveFixture({ entities })
    const body = {
      features: ['customer_spend:payment_count_1h', 'customer_spend:amount_mean_5m'],
      entities: { customer: ['c-1', 'c-9'] },
    }
    const response = await app.request(path, postJson(body))
    expect(response.status).toBe(200)
    const newest = '2026-03-01T11:59:00.000Z'
    const none = '1970-01-01T00:00:00Z'
    expect(await response.json()).toEqual({
      metadata: { feature_names: ['customer', 'payment_count_1h', 'amount_mean_5m'] },
      results: [
        { values: ['c-1', 'c-9'], statuses: ['PRESENT', 'PRESENT'], event_timestamps: [none, none] },
        { values: [3, 0], statuses: ['PRESENT', 'NOT_FOUND'], event_timestamps: [newest, none] },
        { values: [null, null], statuses: ['NULL_VALUE', 'NOT_FOUND'], event_timestamps: [newest, none] },
      ],
    })
  })

  test('joins entities row by row, reads each once, and knows key fields and full names', async () => {
    const calls: (readonly EntityKey[])[] = []
    const features: FeatureReader = {
      read: async (keys) => {
        calls.push(keys)
        return keys.map((key) => ({ ...(key.entity === 'customer' ? customer : terminal), key }))
      },
    }
    const { app } = serveFixture({ deps: { features } })
    const body = {
      features: ['customer_spend__payment_count_1h', 'terminal_activity__payment_count_1h'],
      entities: { customerId: ['c-1', 'c-1'], terminal: ['t-1', 7] },
      full_feature_names: true,
    }
    const answer = (await (await app.request(path, postJson(body))).json()) as {
      metadata: { feature_names: string[] }
      results: { values: unknown[] }[]
    }
    expect(answer.metadata.feature_names).toEqual([
      'customerId',
      'terminal',
      'customer_spend__payment_count_1h',
      'terminal_activity__payment_count_1h',
    ])
    expect(answer.results.map(({ values }) => values)).toEqual([
      ['c-1', 'c-1'],
      ['t-1', 7],
      [3, 3],
      [11, 11],
    ])
    expect(calls).toEqual([
      [
        { entity: 'customer', id: 'c-1' },
        { entity: 'terminal', id: 't-1' },
        { entity: 'terminal', id: '7' },
      ],
    ])
  })

  test('a feature service with the request derives, and without a deriving reader is NULL_VALUE', async () => {
    const body = {
      feature_service: 'fraud_v1',
      entities: { customer: ['c-1'], terminal: ['t-1'] },
      request: { amountMinor: 1250, currency: 'EUR', time: '2026-03-01T12:00:00Z' },
      full_feature_names: true,
    }
    const read: FeatureReader['read'] = async (keys) =>
      keys.map(({ entity, id }) => (entity === 'customer' && id === 'c-1' ? customer : terminal))
    const column = async (features: FeatureReader) => {
      const { app } = serveFixture({ deps: { features } })
      const answer = (await (await app.request(path, postJson(body))).json()) as {
        metadata: { feature_names: string[] }
        results: { values: unknown[]; statuses: string[]; event_timestamps: string[] }[]
      }
      return answer.results[answer.metadata.feature_names.indexOf('amount')]
    }
    const seen: unknown[] = []
    const derive: NonNullable<FeatureReader['derive']> = (names, entities, request) => {
      seen.push(entities, request)
      return names.map((name) => (name === 'amount' ? 12.5 : null))
    }
    const timestamp = ['2026-03-01T11:59:59.000Z']
    expect(await column({ read, derive })).toEqual({
      values: [12.5],
      statuses: ['PRESENT'],
      event_timestamps: timestamp,
    })
    expect(seen).toEqual([
      [customer, terminal, expect.objectContaining({ values: terminal.values })],
      { data: { amountMinor: 1250, currency: 'EUR' }, timeMs: nowMs },
    ])
    expect(await column({ read })).toEqual({ values: [null], statuses: ['NULL_VALUE'], event_timestamps: timestamp })
  })

  test('reads features as of the time asOf', async () => {
    const { calls, reader } = recordingReader()
    const { app } = serveFixture({ deps: { features: reader } })
    const body = { features: ['customer_spend:payment_count_1h'], entities: { customer: ['c-1'] } }
    await app.request(path, postJson(body))
    await app.request(path, postJson({ ...body, asOf: '2026-03-01T12:00:05Z' }))
    expect(calls.map(({ atMs }) => atMs)).toEqual([nowMs, nowMs + 5_000])
  })

  test('no rows are no values', async () => {
    const { app } = serveFixture()
    const body = { features: ['customer_spend:payment_count_1h'], entities: { customer: [] } }
    const answer = await (await app.request(path, postJson(body))).json()
    expect(answer).toMatchObject({ results: [{ values: [] }, { values: [] }] })
  })

  const features = ['customer_spend:payment_count_1h']
  test.each([
    ['unknown_feature', ['a:b', 'c'], { features: [...features, 'a:b', 'c'], entities: { customer: ['c'] } }],
    ['unknown_feature_service', ['nope'], { feature_service: 'nope', entities: { customer: ['c'] } }],
    ['invalid_request', ['merchant'], { features, entities: { customer: ['c'], merchant: ['m'] } }],
    ['missing_entity', ['customer'], { features, entities: { terminal: ['t'] } }],
    ['invalid_request', ['customer', 'terminal'], { features, entities: { customer: ['c'], terminal: [] } }],
    ['invalid_request', ['customer', 'customer'], { features, entities: { customer: ['c'], customerId: ['c'] } }],
    [
      'feature_name_collision',
      ['payment_count_1h'],
      {
        features: [...features, 'terminal_activity:payment_count_1h'],
        entities: { customer: ['c'], terminal: ['t'] },
      },
    ],
    ['invalid_request', [], { features, feature_service: 'fraud_v1', entities: { customer: ['c'] } }],
    ['invalid_request', [], { entities: { customer: ['c'] } }],
  ])('refuses %s, naming %o', async (code, names, body) => {
    const response = await serveFixture({ entities }).app.request(path, postJson(body))
    expect(response.status).toBe(422)
    expect((await problemOf(response, code))['names']).toEqual(names)
  })

  test.each([
    ['invalid_request', { features, entities: { customer: Array.from({ length: 501 }, (_, i) => `c-${i}`) } }],
    ['invalid_request', { features, entities: { customer: [{}] } }],
    ['invalid_request', { features, entities: { customer: ['c'] }, request: { amountMinor: -1 } }],
    ['invalid_request', []],
    ['invalid_request', { features, entities: { customer: ['c'] }, asOf: 'soon' }],
    ['invalid_request', { features: ['amount'], entities: {} }],
    ['invalid_request', { features, entities: { customer: ['c'] }, request: { amountMinor: 1, currency: 'JPY' } }],
    ['invalid_json', 'nope'],
  ])('refuses %s: %j', async (code, body) => {
    await problemOf(await serveFixture().app.request(path, postJson(body)), code)
  })
})
