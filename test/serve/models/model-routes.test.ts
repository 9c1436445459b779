import { describe, expect, test } from 'vitest'
import type { Generation, ModelReference } from '../../../src/scoring/rollout/generation.ts'
import { paymentScored } from '../../support/payment-scores.ts'
import type { GenerationStore } from '../../../src/ports/generations.ts'
import type { ModelExplanations } from '../../../src/serve/http/dependencies.ts'
import { createModelAdministration } from '../../../src/serve/models/model-administration.ts'
import { nowMs, postJson, problemOf, serveFixture } from '../support/serve-fixture.ts'

const first: Generation = {
  number: 1,
  champion: { name: 'fraud', version: '1' },
  shadows: [],
  reason: 'models/registry.json',
  timeMs: nowMs,
}

/** The contract of the store, in memory; `faster` others append before each of ours. */
function memoryStore(faster = 0): GenerationStore & { readonly list: Generation[] } {
  const list = [first]
  let left = faster
  return {
    list,
    generations: (limit) => Promise.resolve(list.slice(-limit)),
    append: (generation) => {
      if (left > 0) list.push({ ...first, number: list.length + 1, reason: `faster ${left}` })
      left -= 1
      if (generation.number !== list.length + 1) return Promise.resolve(false)
      list.push(generation)
      return Promise.resolve(true)
    },
    activate: () => Promise.resolve(null),
    activations: () => Promise.resolve([{ offset: 0, generation: first }]),
    refuse: () => Promise.resolve(),
    refusals: () => Promise.resolve(new Map()),
    close: () => Promise.resolve(),
  }
}

interface FixtureOptions {
  readonly apiKey?: string
  readonly faster?: number
  readonly explanations?: ModelExplanations
  /** What else is scored, and the types of models by their names. */
  readonly beside?: readonly (readonly [string, ReturnType<typeof memoryStore>])[]
  readonly typesOf?: Readonly<Record<string, string>>
}

function fixture(options: FixtureOptions = {}) {
  const store = memoryStore(options.faster)
  const clock = { nowMs: () => nowMs }
  const stores = new Map([['payment.initiated', store], ...(options.beside ?? [])])
  const typeOf = async ({ name }: ModelReference) => options.typesOf?.[name] ?? null
  const models = createModelAdministration({ stores, typeOf, topic: 'payments.events', partitions: 2, clock })
  const scoreForms = new Map([...stores.keys()].map((eventType) => [eventType, { ...paymentScored, eventType }]))
  const { apiKey = null, explanations } = options
  return {
    store,
    ...serveFixture({ deps: { models, apiKey, scoreForms, ...(explanations === undefined ? {} : { explanations }) } }),
  }
}

describe('the models over HTTP', () => {
  test('are listed with where they are live', async () => {
    const response = await fixture().app.request('/v1/models')
    expect([response.status, await response.json()]).toEqual([
      200,
      {
        partitions: 2,
        generations: [
          {
            scores: 'payment.initiated',
            ...{ generation: 1, champion: 'fraud/1', shadows: [], reason: 'models/registry.json', live: 2 },
            ...{ time: new Date(nowMs).toISOString(), restores: null, refusal: null },
            activations: [
              { partition: 0, offset: 0 },
              { partition: 1, offset: 0 },
            ],
          },
        ],
      },
    ])
  })

  test('change by a new generation each, with its reason', async () => {
    const { app, store } = fixture()
    const change = async (path: string, body: object) => {
      const response = await app.request(`/v1/models/${path}`, postJson(body))
      return [response.status, await response.json()] as const
    }
    expect(await change('shadow', { model: 'fraud/2' })).toMatchObject([202, { generation: 2, shadows: ['fraud/2'] }])
    expect(await change('promote', { model: 'fraud/2', reason: 'better' })).toMatchObject([
      202,
      { generation: 3, champion: 'fraud/2', shadows: [], reason: 'better', restores: null },
    ])
    expect(await change('rollback', {})).toMatchObject([202, { generation: 4, champion: 'fraud/1', restores: 2 }])
    expect(await change('retire', { model: 'fraud/2' })).toMatchObject([202, { generation: 5, shadows: [] }])
    expect(store.list.map(({ reason }) => reason)).toEqual([
      'models/registry.json',
      'shadow fraud/2',
      'better',
      'rollback',
      'retire fraud/2',
    ])
  })

  test('change those of one type of events: the type that is asked for, or that the model is for', async () => {
    const logins = memoryStore()
    const { app, store } = fixture({ beside: [['login.attempted', logins]], typesOf: { takeover: 'login.attempted' } })
    const change = async (path: string, body: object) => {
      const response = await app.request(`/v1/models/${path}`, postJson(body))
      return [response.status, await response.json()] as const
    }
    expect(await change('promote', { model: 'takeover/2' })).toMatchObject([202, { scores: 'login.attempted' }])
    const asked = { model: 'fraud/3', scores: 'payment.initiated' }
    expect(await change('promote', asked)).toMatchObject([202, { scores: 'payment.initiated', generation: 2 }])
    expect([store, logins].map(({ list }) => list.at(-1)?.champion.name)).toEqual(['fraud', 'takeover'])
    for (const [path, body] of [
      ['promote', { model: 'fraud/4' }],
      ['rollback', {}],
    ] as const) {
      const [status, problem] = await change(path, body)
      expect([status, problem]).toMatchObject([422, { code: 'scored_type_unknown' }])
      expect((problem as { detail: string }).detail).toContain('payment.initiated, login.attempted')
    }
    expect(await change('rollback', { scores: 'click.made' })).toMatchObject([422, { code: 'invalid_request' }])
    expect(await change('rollback', { scores: 'login.attempted' })).toMatchObject([202, { generation: 3 }])
    const { generations } = (await (await app.request('/v1/models')).json()) as { generations: { scores: string }[] }
    expect(generations.map(({ scores }) => scores).toSorted()).toEqual([
      ...Array<string>(3).fill('login.attempted'),
      ...Array<string>(2).fill('payment.initiated'),
    ])
  })

  test('a promotion says why decisions of the model come without reasons', async () => {
    const explanations = async () =>
      ({ kind: 'unavailable', code: 'no_covers', reason: 'the trees have none' }) as const
    const promote = async (model: string) => {
      const { app } = fixture({ explanations })
      return (await app.request('/v1/models/promote', postJson({ model }))).json()
    }
    expect(await promote('fraud/2')).toMatchObject({
      champion: 'fraud/2',
      reasonsUnavailable: { code: 'no_covers', detail: 'the trees have none' },
    })
    const { app } = fixture()
    const unread: unknown = await (await app.request('/v1/models/promote', postJson({ model: 'fraud/2' }))).json()
    expect(unread).not.toHaveProperty('reasonsUnavailable')
  })

  test.each([
    ['promote', { model: 'fraud/1' }, 409, 'model_is_champion'],
    ['shadow', { model: 'fraud/1' }, 409, 'model_is_champion'],
    ['shadow', { model: 'fraud/2@1' }, 422, 'shadow_with_policy'],
    ['retire', { model: 'fraud/2' }, 409, 'model_not_serving'],
    ['rollback', {}, 409, 'no_former_generation'],
    ['promote', { model: '../x/1' }, 422, 'invalid_request'],
    ['promote', {}, 422, 'invalid_request'],
    ['promote', { model: 'a/1', reason: 'x'.repeat(401) }, 422, 'invalid_request'],
  ])('%s %j is refused', async (path, body, status, code) => {
    const { app, store } = fixture()
    const response = await app.request(`/v1/models/${path}`, postJson(body))
    expect(response.status).toBe(status)
    await problemOf(response, code)
    expect(store.list).toHaveLength(1)
  })

  test('others may be faster, but not for ever', async () => {
    const promote = postJson({ model: 'fraud/2' })
    expect((await fixture({ faster: 3 }).app.request('/v1/models/promote', promote)).status).toBe(202)
    const contended = await fixture({ faster: 99 }).app.request('/v1/models/promote', promote)
    expect([contended.status, contended.headers.get('retry-after')]).toEqual([503, '1'])
    await problemOf(contended, 'generations_contended')
  })

  test('need the key where there is one, and a caller on this machine where there is none', async () => {
    const key = 'k'.repeat(16)
    const { app, store } = fixture({ apiKey: key })
    const body = { model: 'fraud/2' }
    await problemOf(await app.request('/v1/models/promote', postJson(body)), 'unauthorized')
    await problemOf(await app.request('/v1/models'), 'unauthorized')
    expect(store.list).toHaveLength(1)
    const headers = { authorization: `Bearer ${key}` }
    const accepted = await app.request('/v1/models/promote', postJson(body, 'application/json', headers))
    expect(accepted.status).toBe(202)

    const open = fixture()
    const foreign = postJson(body, 'application/json', { host: 'bank.example' })
    await problemOf(await open.app.request('/v1/models/promote', foreign), 'foreign_host')
    const page = postJson(body, 'application/json', { host: '127.0.0.1:8080', origin: 'https://evil.example' })
    await problemOf(await open.app.request('/v1/models/promote', page), 'foreign_origin')
    expect(open.store.list).toHaveLength(1)
  })
})
