import { describe, expect, it } from 'vitest'
import { differenceText } from '../../src/app/commands/features/feature-diff-text.ts'
import { featureSetDifference } from '../../src/compile/feature-set-diff.ts'
import { compileManifest } from '../../src/compile/manifest.ts'
import { count, distinct, sum } from '../../src/define/aggregate.ts'
import { add, type Typed } from '../../src/define/expression.ts'
import { defineDerived, defineService, type FeatureSet } from '../../src/define/feature-set.ts'
import { defineFeatureSet } from '../../src/define/define-feature-set.ts'
import { defineSource } from '../../src/define/source.ts'
import { defineView } from '../../src/define/view.ts'
import { customer, large, order, orders, orderService, shop, shopOpened } from '../define/support/shop.ts'

const byShop = defineSource({ name: 'order', event: order, columns: { shop: 'shopId' } })
const viewOptions = {
  name: 'spend',
  version: 1,
  entity: customer,
  aggregates: [count(orders), sum(orders, 'amount')],
  windows: ['1h', '1d'],
  hop: '1m',
} as const
const view = defineView(viewOptions)
const [hourly, daily, amount] = [
  view.feature('order_count_1h'),
  view.feature('order_count_1d'),
  view.feature('amount_sum_1d'),
]
const more = defineDerived('more', 'one more', add(hourly, 1))
const service = (...vector: Typed<false>[]) => [defineService({ name: 'model', vector })]
const base: FeatureSet = {
  events: [order],
  entities: [customer, shop],
  views: [view],
  derived: [more],
  services: service(more, daily, amount),
}

function differenceTo(changes: Partial<FeatureSet>, from: Partial<FeatureSet> = {}) {
  const compiled = (set: Partial<FeatureSet>) => compileManifest(defineFeatureSet({ ...base, ...set }))
  return featureSetDifference(compiled(from), compiled(changes))
}

function linesTo(changes: Partial<FeatureSet>, from: Partial<FeatureSet> = {}): string[] {
  return differenceText(differenceTo(changes, from)).trimEnd().split('\n').slice(1)
}

describe('the difference of two feature sets', () => {
  it('is none between equal ones', () => {
    const difference = differenceTo({})
    expect(difference).toMatchObject({ equal: true, features: { added: [], removed: [], changed: [] } })
    expect(differenceText(difference)).toBe(`equal: ${difference.hash.before.slice(0, 12)}\n`)
  })

  it('names both hashes', () => {
    const difference = differenceTo({ events: [order, shopOpened] })
    const [before, after] = [difference.hash.before.slice(0, 12), difference.hash.after.slice(0, 12)]
    expect(differenceText(difference)).toBe(`${before} → ${after}\n+ event shop.opened\n`)
  })

  it('says once, at the view, what all its features share', () => {
    const views = [defineView({ ...viewOptions, version: 2, hop: '1s', delay: '1h' })]
    expect(linesTo({ views }).filter((line) => !line.startsWith('~ feature'))).toEqual([
      '~ entity customer: horizonMs 172800000 → 176400000',
      '~ view spend: version 1 → 2; hop 1m → 1s; delay 0s → 1h',
      '~ service model: one of its features means something else',
    ])
    expect(differenceTo({ views }).views.changed).toEqual([
      {
        name: 'spend',
        changes: [
          { what: 'version', before: 1, after: 2 },
          { what: 'hop', before: '1m', after: '1s' },
          { what: 'delay', before: '0s', after: '1h' },
        ],
      },
    ])
  })

  it('tells views and features that came from those that went', () => {
    const reach = defineView({
      ...viewOptions,
      name: 'reach',
      windows: ['1h'],
      aggregates: [distinct(byShop, 'shop', { cap: 8 })],
    })
    expect(linesTo({ views: [view, reach] })).toEqual(['+ view reach', '+ feature reach__shop_distinct_1h'])
    expect(linesTo({}, { views: [view, reach] })).toEqual(['- view reach', '- feature reach__shop_distinct_1h'])
  })

  it('sees another condition behind the same name', () => {
    const counted = count({ ...orders, where: large.where })
    const { features } = differenceTo({
      views: [defineView({ ...viewOptions, aggregates: [counted, sum(orders, 'amount')] })],
    })
    expect(features.changed.map(({ name }) => name)).toEqual(['spend__order_count_1h', 'spend__order_count_1d'])
    expect(features.changed[0]?.changes.map(({ what }) => what)).toEqual(['slots'])
  })

  it('sees another expression, and that a service means something else by it', () => {
    expect(linesTo({ derived: [defineDerived('more', 'two more', add(hourly, 2))] })).toEqual([
      '~ feature more: description one more → two more; another expression',
      '~ service model: one of its features means something else',
    ])
  })

  it('says what became of a vector', () => {
    expect(linesTo({ services: service(more, hourly, amount) })).toEqual([
      '~ service model: removed from the vector: spend__order_count_1d; added to the vector: spend__order_count_1h',
    ])
    expect(linesTo({ services: service(daily, more, amount) })).toEqual([
      '~ service model: another order of the vector',
    ])
    expect(linesTo({ services: [orderService] })).toEqual(['- service model', '+ service all'])
  })

  it('is not equal when only the order of definition is another', () => {
    const difference = differenceTo({ entities: [shop, customer] })
    expect(difference.equal).toBe(false)
    expect(differenceText(difference)).toContain('nothing but the order of the definitions is another')
  })
})
