import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { loginFeatures } from '../../examples/logins/index.ts'
import { riverbank } from '../../features/index.ts'
import { canonicalJson, hash32, hashText } from '../../src/compile/hash.ts'
import { compileManifest, featureSetHash } from '../../src/compile/manifest.ts'
import { compilePlan } from '../../src/compile/plan.ts'
import { count } from '../../src/define/aggregate.ts'
import { add } from '../../src/define/expression.ts'
import { defineDerived, type FeatureSet } from '../../src/define/feature-set.ts'
import { defineFeatureSet } from '../../src/define/define-feature-set.ts'
import { measure } from '../../src/define/reason.ts'
import { defineView } from '../../src/define/view.ts'
import { customer, large, order, orders, shop, spend } from '../define/support/shop.ts'

it.each([riverbank, loginFeatures])(
  'lists the features of an entity in the order in which a read answers them, %#',
  (set) => {
    const [manifest, plan] = [compileManifest(set), compilePlan(set)]
    for (const { name, features } of plan.entities) {
      const listed = manifest.features.filter(({ entity }) => entity === name)
      expect(listed.map((feature) => feature.name)).toEqual(features.map((feature) => feature.name))
    }
  },
)

describe('the committed feature set', () => {
  it('is what the definitions compile to: else run npm run features:compile and commit', () => {
    const committed = readFileSync(new URL('../../features/compiled/feature-set.json', import.meta.url), 'utf8')
    expect(committed).toBe(`${JSON.stringify(compileManifest(riverbank), null, 2)}\n`)
  })

  it('has the features of the plan, and its hash', () => {
    const [manifest, plan] = [compileManifest(riverbank), compilePlan(riverbank)]
    expect(plan.featureSetHash).toBe(manifest.hash)
    const planned = plan.entities.flatMap(({ features }) => features.map(({ name }) => name))
    expect(manifest.features.filter(({ entity }) => entity !== null).map(({ name }) => name)).toEqual(planned)
    for (const service of plan.services) {
      expect(manifest.features.map(({ name }) => name).sort()).toEqual([...service.names].sort())
    }
    for (const { name, nullable } of manifest.features) {
      const taken = manifest.services.some(({ features }) => features.includes(name))
      expect(nullable && taken, `${name} is null sometimes, and a model takes it`).toBe(false)
    }
  })
})

describe('the hash of a feature set', () => {
  const view = {
    name: 'spend',
    version: 1,
    entity: customer,
    aggregates: [count(orders)],
    windows: ['1h', '1d'],
    hop: '1m',
  } as const
  const derived = defineDerived('more', 'one more', add(spend.feature('order_count_1h'), 1))
  const base: FeatureSet = {
    events: [order],
    entities: [customer, shop],
    views: [defineView(view)],
    derived: [derived],
    services: [{ name: 's', eventType: order.type, vector: ['more', 'spend__order_count_1d'] }],
  }
  const hashOf = (changes: Partial<FeatureSet>) => featureSetHash(defineFeatureSet({ ...base, ...changes }))
  const withView = (changes: object) => ({ views: [defineView({ ...view, ...changes })] })

  it('is sha256 of everything else in the manifest', () => {
    const { hash, ...content } = compileManifest(riverbank)
    expect(hashText(canonicalJson(content))).toBe(hash)
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
    expect(hashText('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    expect(hash32('abc')).toBe(0xba7816bf)
    expect(featureSetHash(riverbank)).toBe(hash)
  })

  it.each<[string, Partial<FeatureSet>]>([
    ['a version of a view', withView({ version: 2 })],
    ['a hop', withView({ hop: '1s' })],
    ['a delay', withView({ delay: '1h' })],
    ['a window', withView({ windows: ['1h', '1d', '7d'] })],
    ['a source of the same name', withView({ aggregates: [count({ ...orders, where: large.where })] })],
    ['an aggregate', withView({ aggregates: [count(orders), count(large)] })],
    ['an expression', { derived: [defineDerived('more', 'one more', add(spend.feature('order_count_1h'), 2))] }],
    [
      'the order of a vector',
      { services: [{ name: 's', eventType: order.type, vector: ['spend__order_count_1d', 'more'] }] },
    ],
    [
      'the partition key',
      {
        entities: [
          { ...customer, partitionKey: false },
          { ...shop, partitionKey: true },
        ],
        views: [],
        derived: [],
        services: [{ name: 's', eventType: order.type, vector: [] }],
      },
    ],
  ])('changes with %s', (_what, changes) => {
    expect(hashOf(changes)).not.toBe(hashOf({}))
  })

  it('changes with the words of a reason, so that copies of a score agree; no service does', () => {
    const worded = (text: string) =>
      compileManifest({
        ...riverbank,
        derived: riverbank.derived.map((one) => (one.name === 'amount' ? { ...one, reason: measure(text) } : one)),
      })
    const [one, other] = [worded('{value} paid'), worded('{value} spent')]
    expect(one.hash).not.toBe(other.hash)
    expect(one.services).toEqual(other.services)
  })

  it('does not depend on the order of keys', () => {
    expect(canonicalJson({ b: [{ d: 1, c: 2 }], a: null })).toBe('{"a":null,"b":[{"c":2,"d":1}]}')
    expect(canonicalJson([2, 1])).not.toBe(canonicalJson([1, 2]))
  })
})
