import { expect, it } from 'vitest'
import { z } from 'zod'
import { compilePlan } from '../../src/compile/plan.ts'
import { count } from '../../src/define/aggregate.ts'
import { defineEvent } from '../../src/define/event-type.ts'
import { defineService } from '../../src/define/feature-set.ts'
import { defineFeatureSet } from '../../src/define/define-feature-set.ts'
import { defineSource } from '../../src/define/source.ts'
import { defineView } from '../../src/define/view.ts'
import { createMemoryEngine } from '../../src/engine/memory-engine.ts'
import { encodeEvent, type EventCatalog } from '../../src/events/event.ts'
import type { LogRecord } from '../../src/ports/log.ts'
import type { Scorer } from '../../src/ports/scorer.ts'
import { createAssemble } from '../../src/process/assemble.ts'
import { createCompose } from '../../src/process/compose.ts'
import { createDecide } from '../../src/process/decide.ts'
import { createDecode } from '../../src/process/decode.ts'
import { createExplain } from '../../src/process/explain.ts'
import { createScore } from '../../src/process/score.ts'
import { customer, order, orders, shop } from '../define/support/shop.ts'

const returnedSchema = z.object({ customerId: z.string(), orderId: z.string(), isWorn: z.boolean() })
const returned = defineEvent({
  type: 'order.returned',
  aggregateType: 'customer',
  aggregateField: 'customerId',
  timestamp: 'time',
  scored: { emits: 'return.scored', id: 'returnId', time: 'returnTimeMs', repeats: ['customerId', 'isWorn'] },
  versions: { 1: { schema: returnedSchema } },
  current: returnedSchema,
})
const returns = defineSource({ name: 'return', event: returned, columns: {} })
const view = { version: 1, entity: customer, windows: ['1h'] as const, hop: '1m' as const }
const ordered = defineView({ ...view, name: 'ordered', aggregates: [count(orders)] })
const gaveBack = defineView({ ...view, name: 'gave_back', aggregates: [count(returns)] })
const set = defineFeatureSet({
  events: [order, returned],
  entities: [customer, shop],
  views: [ordered, gaveBack],
  derived: [],
  services: [
    defineService({ name: 'of_orders', of: order, vector: [ordered.feature('order_count_1h')] }),
    defineService({
      name: 'of_returns',
      of: returned,
      vector: [ordered.feature('order_count_1h'), gaveBack.feature('return_count_1h')],
    }),
  ],
})
const plan = compilePlan(set)
const catalog: EventCatalog = new Map(set.events.map((event) => [event.type, event]))
const atMs = Date.UTC(2026, 2, 1)

function record(offset: number, eventType: string, data: object): LogRecord {
  const value = encodeEvent({
    ...{ eventId: `e${offset}`, eventType, timestamp: atMs + offset, aggregateId: 'c-1' },
    ...{ aggregateType: 'customer', version: 1, data, metadata: { source: 'test' } },
  })
  const bytes = new TextEncoder().encode(value)
  return { topic: 'orders', partition: 0, offset, appendTimeMs: atMs + offset, key: 'c-1', value: bytes, headers: {} }
}

/** Answers the sum of a vector, so that it tells which one it got. */
function summing(name: string, service: string): Scorer {
  return {
    ...{ name, version: '1', service, thresholds: { review: 10, block: 20 } },
    score: (vectors, rows) => {
      const width = vectors.length / rows
      const sums = Array.from({ length: rows }, (_, row) =>
        vectors.subarray(row * width, (row + 1) * width).reduce((sum, one) => sum + one, 0),
      )
      return Promise.resolve(Float32Array.from(sums))
    },
    close: () => Promise.resolve(),
  }
}

it('events of each scored type are scored by the models of their type, in one batch and in its order', async () => {
  const placed = { customerId: 'c-1', shopId: 's-1', amountMinor: 100, currency: 'EUR' }
  const back = { customerId: 'c-1', orderId: 'e0', isWorn: true }
  const records = [
    record(0, 'order.placed', placed),
    record(1, 'order.returned', back),
    record(2, 'order.placed', placed),
    record(3, 'order.returned', back),
  ]
  const batch = { topic: 'orders', partition: 0, records, next: 4, end: 4 }
  const engine = createMemoryEngine(plan)
  const observed = createDecode(catalog, plan)(batch, null).map((one) => {
    if (one.kind === 'invalid') throw new Error(one.detail)
    const responses = engine.apply(one.event, one.observedAtMs, one.record, one.isScored)
    return { kind: 'applied' as const, record: one.record, decoded: one, responses, verdict: null }
  })
  const rolloutOf = (champion: Scorer) => [{ from: 0, rollout: { champion, shadows: [] } }]
  const servings = new Map([
    ['order.placed', rolloutOf(summing('orders', 'of_orders'))],
    ['order.returned', rolloutOf(summing('returns', 'of_returns'))],
  ])
  const metrics = { shadowFailed: () => undefined, unscored: () => undefined }
  const scored = await createScore({ plan, metrics })(createAssemble(plan)(observed, servings))
  const explained = createExplain(plan, undefined)(createDecide(plan)(scored))
  const published = createCompose({ plan, catalog, topics: { scores: 'scores', deadLetters: 'letters' } })(explained)
  const scores = published.map(
    ({ value }) => JSON.parse(Buffer.from(value).toString()) as { type: string; data: object },
  )
  expect(scores.map(({ type, data }) => ({ type, ...data }))).toMatchObject([
    { type: 'order.scored', orderId: 'e0', customerId: 'c-1', score: 0, model: { name: 'orders' } },
    { type: 'return.scored', returnId: 'e1', isWorn: true, score: 1, model: { name: 'returns' } },
    { type: 'order.scored', orderId: 'e2', score: 1, service: 'of_orders' },
    { type: 'return.scored', returnId: 'e3', score: 3, service: 'of_returns' },
  ])
})
