import { expect, it } from 'vitest'
import { compilePlan } from '../../../src/compile/plan.ts'
import { fillMissingHistory, slotsOf } from '../../../src/engine/evolution/fill-missing-history.ts'
import { migrateState } from '../../../src/engine/evolution/migrate.ts'
import { observe, readFeatures } from '../../../src/engine/observe.ts'
import type { EntityPlan } from '../../../src/engine/plan.ts'
import type { EntityState } from '../../../src/engine/state/state.ts'
import { plainTables } from '../../../src/engine/tiles/tiles.ts'
import { count, max, type Aggregate } from '../../../src/define/aggregate.ts'
import { defineFeatureSet } from '../../../src/define/define-feature-set.ts'
import { defineView, type View } from '../../../src/define/view.ts'
import { customer, order, orders, orderService } from '../../define/support/shop.ts'

const hourMs = 3_600_000
const startMs = Date.UTC(2026, 2, 1)
const nowMs = startMs + 100 * 24 * hourMs

function planOf(views: readonly View[]): {
  entity: EntityPlan
  see: (state: EntityState | null, hours: number) => EntityState
} {
  const set = { events: [order], entities: [customer], derived: [], services: [orderService] }
  const { entities, events } = compilePlan(defineFeatureSet({ ...set, views }))
  const [entity, binding] = [entities[0], events.get(order.type)?.bindings[0] ?? null]
  if (entity === undefined || binding === null) throw new Error('an order names its customer')
  return {
    entity,
    see(before, hours) {
      const timeMs = startMs + hours * hourMs
      const data = { customerId: 'c1', shopId: 's1', amountMinor: hours, currency: 'EUR' }
      const names = { offset: hours, eventId: `e${hours}`, appendTimeMs: timeMs, timeMs, eventTimeMs: timeMs }
      const { state } = observe(entity, before, [{ ...names, data, binding, reads: true, verdict: null }], 0, 0)
      if (state === null) throw new Error('an observation makes a state')
      return state
    },
  }
}

function view(name: string, windows: ['1h'] | ['1h', '30d'] | ['lifetime'], kind: 'count' | 'max'): View {
  const aggregates: readonly Aggregate[] = kind === 'count' ? [count(orders)] : [max(orders, 'amount')]
  return defineView({ name, version: 1, entity: customer, hop: '1m', windows, aggregates })
}

function told({ entity }: ReturnType<typeof planOf>, state: EntityState, hours: number) {
  const { features, flags } = readFeatures(entity, state, startMs + hours * hourMs)
  const names = entity.features.map(({ name }) => name.slice(name.indexOf('__') + 2))
  const flagged = new Map(flags.map(({ feature, flag }) => [feature, flag]))
  return Object.fromEntries(names.map((name, i) => [name, flagged.has(i) ? flagged.get(i) : features[i]]))
}

it.each<[string, View, string]>([
  ['a longer window', view('spend', ['1h', '30d'], 'count'), 'order_count_30d'],
  ['a lifetime', view('ever', ['lifetime'], 'count'), 'order_count_lifetime'],
])('%s needs what was forgotten: it is incomplete until its history is merged', (_name, added, feature) => {
  const old = planOf([view('spend', ['1h'], 'count')])
  const plan = planOf([...(added.name === 'spend' ? [] : [view('spend', ['1h'], 'count')]), added])
  const before = old.see(old.see(null, 0), 240)
  expect(plainTables(old.entity, [before.firstTiles])[0]?.rows, 'forgotten').toHaveLength(1)
  const migrated = plan.see(migrateState(plan.entity, old.entity, before, nowMs), 241)
  expect(told(plan, migrated, 241)).toEqual({ order_count_1h: 1, [feature]: 'incomplete' })
  expect(migrated.partitions).toMatchObject([{ partition: 0, next: 242 }])

  const history = plan.see(plan.see(null, 0), 240)
  const filled = fillMissingHistory(
    plan.entity,
    migrated,
    slotsOf(plan.entity, () => true),
    () => history,
  )
  expect(told(plan, filled, 241)).toEqual({ order_count_1h: 1, [feature]: 3 })
})

it('a new slot knows nothing of before, and its gap closes when all of that is forgotten', () => {
  const old = planOf([view('spend', ['1h'], 'count')])
  const plan = planOf([view('spend', ['1h'], 'count'), view('largest', ['1h'], 'max')])
  const migrated = migrateState(plan.entity, old.entity, old.see(null, 0), nowMs)
  expect(told(plan, migrated, 0.5)).toEqual({ order_count_1h: 1, amount_max_1h: 'incomplete' })
  expect(told(plan, migrated, 1.1), 'an hour later nothing of it is in the window').toEqual({
    order_count_1h: 0,
    amount_max_1h: null,
  })
  expect(plan.see(migrated, 10).firstTiles.missingHistory).not.toBeNull()
  expect(plan.see(migrated, 40).firstTiles.missingHistory).toBeNull()
})
