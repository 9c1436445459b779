import { describe, expect, it } from 'vitest'
import { compilePlan } from '../../src/compile/plan.ts'
import { observe, readFeatures } from '../../src/engine/observe.ts'
import type { EntityPlan } from '../../src/engine/plan.ts'
import { createValues, createVectorWriter } from '../../src/scoring/vector.ts'
import { count, mean, rate, sum } from '../../src/define/aggregate.ts'
import { add, coalesce, eventField, multiply } from '../../src/define/expression.ts'
import { defineDerived, defineService, type FeatureSet } from '../../src/define/feature-set.ts'
import { defineFeatureSet } from '../../src/define/define-feature-set.ts'
import { defineSource } from '../../src/define/source.ts'
import { defineView, type View } from '../../src/define/view.ts'
import { riverbank } from '../../features/index.ts'
import { customer, large, order, orders, orderService, shop, shopOpened, spend } from '../define/support/shop.ts'

const sameOrders = defineSource({ name: 'again', event: order, columns: { money: 'amountMinor' } })

function setOf(...views: View[]): FeatureSet {
  return defineFeatureSet({
    events: [order, shopOpened],
    entities: [shop, customer],
    views,
    derived: [],
    services: [orderService],
  })
}

function planOf(set: FeatureSet, name: string): EntityPlan {
  const found = compilePlan(set).entities.find((entity) => entity.name === name)
  if (found === undefined) throw new Error(`no entity ${name}`)
  return found
}

describe('a compiled plan', () => {
  it('puts the partition-key entity first, whatever the order of definition', () => {
    expect(compilePlan(setOf(spend)).entities.map(({ name }) => name)).toEqual(['customer', 'shop'])
  })

  it('shares slots between aggregates and views that mean the same, whatever they are called', () => {
    const again = defineView({
      name: 'again',
      version: 1,
      entity: customer,
      aggregates: [count(sameOrders), sum(sameOrders, 'money'), mean(sameOrders, 'money')],
      windows: ['1h', '7d'],
      hop: '1m',
      delay: '1h',
    })
    const [group, ...others] = planOf(setOf(spend, again), 'customer').groups
    expect(others).toEqual([])
    // Counts of orders, their sum, and counts of large ones: for eight features of one view and six of the other.
    expect(group?.slots.map(({ kind }) => kind)).toEqual(['count', 'sum', 'count'])
    expect(group?.reads.map(({ delayMs, windowsMs }) => ({ delayMs, windowsMs }))).toEqual([
      { delayMs: 0, windowsMs: [3_600_000, 86_400_000] },
      { delayMs: 3_600_000, windowsMs: [3_600_000, 604_800_000] },
    ])
  })

  it('shares none between hops, and gives every hop its own tiles, the finest first', () => {
    const fine = defineView({
      name: 'fine',
      version: 1,
      entity: customer,
      aggregates: [count(orders)],
      windows: ['5m'],
      hop: '1s',
    })
    const { groups } = planOf(setOf(spend, fine), 'customer')
    expect(groups.map(({ hopMs, slots }) => [hopMs, slots.length])).toEqual([
      [1_000, 1],
      [60_000, 3],
    ])
  })

  it('finds every feature in its cells: each slot and window has a value of its own', () => {
    const late = defineView({
      name: 'late',
      version: 1,
      entity: customer,
      aggregates: [rate(large, orders), sum(large, 'amount')],
      windows: ['1h', '1d'],
      hop: '1m',
      delay: '1h',
    })
    const plan = planOf(setOf(spend, late), 'customer')
    const binding = compilePlan(setOf(spend, late)).events.get('order.placed')?.bindings[0] ?? null
    if (binding === null) throw new Error('an order names its customer')
    const nowMs = 1_780_000_000_000
    const minutesAgo = [1, 30, 70, 90, 100, 200, 500]
    const observations = minutesAgo.map((minutes, offset) => ({
      offset,
      appendTimeMs: nowMs,
      eventId: `o${offset}`,
      timeMs: nowMs - minutes * 60_000,
      eventTimeMs: nowMs,
      data: { customerId: 'c', amountMinor: 6_000 + 1_000 * minutes },
      binding,
      reads: false,
      verdict: null,
    }))
    const { state } = observe(plan, null, observations, 0, 0)
    const values = readFeatures(plan, state, nowMs)
    const named = Object.fromEntries(plan.features.map(({ name }, i) => [name, values.features[i]]))
    expect(named).toEqual({
      spend__order_count_1h: 2,
      spend__order_count_1d: 7,
      spend__amount_sum_1h: 43_000,
      spend__amount_sum_1d: 1_033_000,
      spend__amount_mean_1h: 21_500,
      spend__amount_mean_1d: 1_033_000 / 7,
      spend__large_rate_1h: 1 / 2,
      spend__large_rate_1d: 6 / 7,
      late__large_rate_1h: 1,
      late__large_rate_1d: 1,
      late__amount_sum_1h: 278_000,
      late__amount_sum_1d: 990_000,
    })
  })

  it('binds an event to the entities whose key its data has', () => {
    const plan = compilePlan(setOf(spend))
    const bindings = (type: string) =>
      plan.events
        .get(type)
        ?.bindings.map((binding, i) => (binding === null ? null : plan.entities[i]?.keyFields.join()))
    expect(bindings('order.placed')).toEqual(['customerId', 'shopId'])
    expect(bindings('shop.opened')).toEqual([null, 'shopId'])
    // No view looks at shops: they take sequence numbers and nothing else.
    expect(plan.events.get('order.placed')?.bindings[1]?.updates).toEqual([])
  })

  it('remembers the longest window with its delay and a day of lateness, and lives a day longer', () => {
    const [hour, day] = [3_600_000, 86_400_000]
    const late = defineView({
      name: 'late',
      version: 1,
      entity: customer,
      aggregates: [count(orders)],
      windows: ['7d'],
      hop: '1m',
      delay: '2h',
    })
    expect(planOf(setOf(spend), 'customer')).toMatchObject({ horizonMs: 2 * day, ttlMs: 3 * day })
    expect(planOf(setOf(spend, late), 'customer')).toMatchObject({ horizonMs: 8 * day + 2 * hour })
    expect(planOf(setOf(spend), 'shop')).toMatchObject({ horizonMs: day, groups: [], features: [] })
  })

  it('has a layout that tells other slots, hops and horizons from its own', () => {
    const options = {
      name: 'spend',
      version: 1,
      entity: customer,
      aggregates: [count(orders)],
      windows: ['1h'],
      hop: '1m',
    } as const
    const layouts = [
      defineView(options),
      defineView({ ...options, hop: '1s' }),
      defineView({ ...options, aggregates: [count(large)] }),
      defineView({ ...options, aggregates: [count(orders), sum(orders, 'amount')] }),
      defineView({ ...options, windows: ['2h'] }),
    ].map((view) => planOf(setOf(view), 'customer').layout)
    expect(new Set(layouts).size).toBe(layouts.length)
    const renamed = planOf(setOf(defineView({ ...options, name: 'other', version: 2 })), 'customer')
    expect(renamed.layout).toBe(layouts[0])
  })

  it('is the same for the same definitions', () => {
    const shape = () =>
      JSON.stringify(compilePlan(riverbank), (_key, value: unknown) => (value instanceof Map ? [...value] : value))
    expect(shape()).toBe(shape())
  })
})

describe('a service', () => {
  const doubled = defineDerived('doubled', 'x', multiply(spend.feature('order_count_1h'), 2))
  const more = defineDerived(
    'more',
    'x',
    add(doubled, coalesce(spend.feature('amount_mean_1d'), eventField(order, 'amountMinor'))),
  )
  const set = defineFeatureSet({
    ...setOf(spend),
    derived: [doubled, more],
    services: [defineService({ name: 's', vector: [more, spend.feature('order_count_1d'), doubled] })],
  })
  const compiled = compilePlan(set)
  const [service] = compiled.services
  if (service === undefined) throw new Error('there is a service')
  const { names, valuesOf } = createValues(compiled.values)
  const vector = createVectorWriter(compiled.values, service)

  it('names the features of its entities, then the derived ones', () => {
    expect(names).toEqual([
      ...spend.aggregates.flatMap((a) => spend.windows.map((w) => `spend__${a.name}_${w}`)),
      'doubled',
      'more',
    ])
    expect(vector.width).toBe(3)
  })

  it('has no value of an entity that the event does not name, and of what is derived from it', () => {
    expect(valuesOf([null, null], { amountMinor: 1 }, 0)).toEqual(names.map(() => null))
  })

  it('computes derived features in order and writes the vector in its own order, as float32', () => {
    const values = valuesOf([{ features: [3, 5, 300, 500, 100, null, 0, 0] }, null], { amountMinor: 0.1 }, 0)
    expect(values.slice(-2)).toEqual([6, 6.1])
    const vectors = new Float32Array(6)
    vector.write(values, vectors, 1)
    expect([...vectors]).toEqual([0, 0, 0, Math.fround(6.1), 5, 6])
  })

  it('never takes a null for a number, nor a part of the features of an entity for all of them', () => {
    const asked = { amountMinor: 1 }
    expect(() => valuesOf([{ features: [3, 5] }, null], asked, 0)).toThrow('an entity answers all of its features')
    const values = valuesOf([{ features: [null, 5, 0, 0, null, null, null, null] }, null], asked, 0)
    expect(() => vector.write(values, new Float32Array(3), 0)).toThrow('as its definition promises')
  })
})
