import { stateCost } from '../../src/engine/state-cost.ts'
import { describe, expect, it } from 'vitest'
import { compilePlan } from '../../src/compile/plan.ts'
import { observe } from '../../src/engine/observe.ts'
import { encodeState } from '../../src/engine/state-codec/state-blob.ts'
import type { EntityPlan } from '../../src/engine/plan.ts'
import { count, distinct, lastK, max, secondsSinceFirst, stddev } from '../../src/define/aggregate.ts'
import { defineEntity } from '../../src/define/entity.ts'
import { defineFeatureSet } from '../../src/define/define-feature-set.ts'
import { defineSource } from '../../src/define/source.ts'
import { defineView } from '../../src/define/view.ts'
import { customer, order, orderService } from '../define/support/shop.ts'

const orders = defineSource({ name: 'order', event: order, columns: { amount: 'amountMinor', shop: 'shopId' } })
const shop = defineEntity({ name: 'shop', keyFields: ['shopId'], tilesMax: 100 })
const set = defineFeatureSet({
  events: [order],
  entities: [customer, shop],
  views: [
    defineView({
      name: 'fine',
      version: 1,
      entity: shop,
      aggregates: [
        count(orders),
        stddev(orders, 'amount'),
        max(orders, 'amount'),
        secondsSinceFirst(orders),
        distinct(orders, 'shop', { cap: 3 }),
        ...lastK(orders, 'amount', 2),
      ],
      windows: ['1d'],
      hop: '1s',
    }),
    defineView({
      name: 'coarse',
      version: 1,
      entity: shop,
      aggregates: [count(orders)],
      windows: ['1d'],
      hop: '1h',
    }),
  ],
  derived: [],
  services: [orderService],
})
const plan = compilePlan(set)
const shopPlan = plan.entities.find(({ name }) => name === 'shop') as EntityPlan
const [fine, coarse] = stateCost(shopPlan)

describe('the cost of a state', () => {
  it('is said for every slot, in the bytes that the codec writes', () => {
    expect(fine?.slots.map(({ kind, size, bytesPerTile }) => [kind, size, bytesPerTile])).toEqual([
      ['count', 0, { typical: 1, largest: 3 }],
      ['square_sum', 0, { typical: 4, largest: 16 }],
      ['sum', 0, { typical: 3, largest: 8 }],
      ['max', 0, { typical: 4, largest: 9 }],
      ['oldest_time', 0, { typical: 2, largest: 2 }],
      ['distinct', 3, { typical: 10, largest: 199 }],
      ['newest', 2, { typical: 6, largest: 21 }],
    ])
  })

  it('has as many tiles as the horizon has hops, or as the entity allows', () => {
    expect([fine?.hopMs, fine?.tilesMax]).toEqual([1_000, 100])
    // A window of a day, a day of lateness.
    expect([coarse?.hopMs, coarse?.tilesMax]).toEqual([3_600_000, 48])
  })

  it('is what a state grows by with one ordinary observation an hour', () => {
    const binding = plan.events.get(order.type)?.bindings[plan.entities.indexOf(shopPlan)] ?? null
    if (binding === null) throw new Error('an order names its shop')
    const bytesWith = (hours: number) => {
      const observations = Array.from({ length: hours }, (_, hour) => ({
        offset: hour,
        appendTimeMs: 0,
        eventId: `o${hour}`,
        timeMs: 1_780_000_000_500 + hour * 3_600_000,
        eventTimeMs: 0,
        data: { customerId: 'c', shopId: 'terminal', amountMinor: 10_000 },
        binding,
        reads: false,
        verdict: null,
      }))
      const { state } = observe(shopPlan, null, observations, 0, 0)
      if (state === null) throw new Error('it has observed something')
      // Without what it answered: that is not kept in tiles.
      return encodeState(shopPlan, { ...state, partitions: [] }).length
    }
    const perTile = [fine, coarse].map((group) =>
      (group?.slots ?? []).reduce((sum, slot) => sum + slot.bytesPerTile.typical, group?.tileBytes.typical ?? 0),
    )
    expect(bytesWith(20) - bytesWith(10)).toBe(10 * ((perTile[0] ?? 0) + (perTile[1] ?? 0)))
  })
})
