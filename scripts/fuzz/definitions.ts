import { z } from 'zod'
import type { Duration, WindowLength } from '../../src/core/units.ts'
import {
  count,
  distinct,
  first,
  last,
  lastK,
  max,
  mean,
  min,
  rate,
  run,
  secondsSinceFirst,
  secondsSinceLast,
  stddev,
  sum,
  type Aggregate,
} from '../../src/define/aggregate.ts'
import { defineEntity } from '../../src/define/entity.ts'
import { defineEvent } from '../../src/define/event-type.ts'
import { defineFeatureSet, defineService, type FeatureSet } from '../../src/define/feature-set.ts'
import { defineSource } from '../../src/define/source.ts'
import { defineView } from '../../src/define/view.ts'
import { featureNamesOf, randomDerived } from './expressions.ts'

/** mulberry32 and what a generator needs of it. */
export interface Random {
  /** An integer from 0 to n − 1. */
  below(n: number): number
  chance(probability: number): boolean
  pick<Value>(values: readonly Value[]): Value
  /** Some of the values, at least one, in their order. */
  some<Value>(values: readonly Value[]): Value[]
}

export function seeded(seed: number): Random {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  // Neighbouring seeds begin alike.
  for (let i = 0; i < 4; i += 1) next()
  const below = (n: number) => Math.floor(next() * n)
  const pick = <Value>(values: readonly Value[]): Value => {
    const value = values[below(values.length)]
    if (value === undefined) throw new Error('there is something to pick')
    return value
  }
  return {
    below,
    chance: (probability) => next() < probability,
    pick,
    some(values) {
      const chosen = values.filter(() => next() < 0.5)
      return chosen.length > 0 ? chosen : [pick(values)]
    },
  }
}

const paid = z.object({
  customerId: z.string(),
  terminalId: z.string(),
  amount: z.number().int(),
  items: z.number().int(),
  kind: z.string(),
})
const refunded = z.object({ customerId: z.string(), amount: z.number().int() })

const payment = defineEvent({
  type: 'payment.made',
  aggregateType: 'customer',
  aggregateField: 'customerId',
  timestamp: 'time',
  versions: { 1: { schema: paid } },
  current: paid,
})
const refund = defineEvent({
  type: 'payment.refunded',
  aggregateType: 'customer',
  aggregateField: 'customerId',
  timestamp: 'time',
  versions: { 1: { schema: refunded } },
  current: refunded,
})

export const scoredType = payment.type

const hops: readonly {
  readonly hop: Duration
  readonly windows: readonly Duration[]
  readonly delays: readonly Duration[]
}[] = [
  { hop: '1s', windows: ['1s', '10s', '1m', '1h', '1d'], delays: ['0s', '5s', '1h', '7d'] },
  { hop: '1m', windows: ['1m', '5m', '1h', '1d', '7d'], delays: ['0s', '1m', '1d'] },
  { hop: '1h', windows: ['1h', '6h', '1d', '30d'], delays: ['0s', '1h', '7d'] },
  { hop: '1d', windows: ['1d', '7d', '30d'], delays: ['0s', '1d', '7d'] },
]

function randomSources(random: Random) {
  const all = defineSource({
    name: 'paid',
    event: payment,
    columns: { amount: 'amount', items: 'items', shop: 'terminalId' },
  })
  const large = defineSource({
    name: 'large',
    event: payment,
    columns: { amount: 'amount', items: 'items' },
    where: [
      { field: 'amount', is: random.pick(['>', '>=', '<', '<='] as const), value: random.below(1_000) },
      ...(random.chance(0.5)
        ? [{ field: 'kind', is: random.pick(['==', '!='] as const), value: 'card' } as const]
        : []),
    ],
  })
  const back = defineSource({ name: 'refunded', event: refund, columns: { amount: 'amount' } })
  return { all, large, back }
}

/** Two to five views over three entities, every aggregate, sources with and without conditions, tight limits. */
export function randomFeatureSet(random: Random): FeatureSet {
  const tilesMax = random.pick([2, 5, 4_096, 4_096])
  const customer = defineEntity({ name: 'customer', keyFields: ['customerId'], partitionKey: true, tilesMax })
  const terminal = defineEntity({ name: 'terminal', keyFields: ['terminalId'], tilesMax })
  const pair = defineEntity({ name: 'pair', keyFields: ['customerId', 'terminalId'] })
  const { all, large, back } = randomSources(random)
  const ofPayments: readonly Aggregate[] = [
    count(all),
    sum(all, 'amount'),
    mean(all, 'amount'),
    sum(large, 'items'),
    mean(large, 'items'),
    count(large),
    rate(large, all),
    min(all, 'items'),
    max(large, 'items'),
    stddev(all, 'amount'),
    stddev(large, 'items'),
    first(all, 'items'),
    last(large, 'items'),
    ...lastK(all, 'amount', 1 + random.below(3)),
    distinct(all, 'shop', { cap: random.pick([1, 2, 64]) }),
    distinct(large, 'items', { cap: random.pick([2, 3]) }),
    secondsSinceFirst(large),
    secondsSinceLast(all),
  ]
  const ofBoth: readonly Aggregate[] = [...ofPayments, count(back), rate(back, all), secondsSinceLast(back)]
  const names = ['one', 'two', 'three', 'four', 'five'].slice(0, 2 + random.below(4))
  const views = names.map((name, i) => {
    const entity = i === 0 ? customer : i === 1 ? terminal : random.pick([customer, terminal, pair])
    const { hop, windows, delays } = random.pick(hops)
    const isLifetime = random.chance(0.3)
    const chosen: WindowLength[] = isLifetime ? [...random.some(windows), 'lifetime'] : random.some(windows)
    const runs = (of: typeof entity) => (of === customer && random.chance(0.5) ? [run(back, all)] : [run(large, all)])
    return defineView({
      name,
      version: 1,
      entity,
      aggregates: [
        ...random.some(entity === customer ? ofBoth : ofPayments),
        ...(isLifetime || random.chance(0.5) ? [] : runs(entity)),
      ],
      windows: chosen,
      hop,
      delay: random.pick(delays),
    })
  })
  const derived = randomDerived(random, views.flatMap(featureNamesOf))
  // Terminals first now and then: the plan puts the partition key first by itself.
  const entities = random.chance(0.5) ? [customer, terminal, pair] : [pair, terminal, customer]
  return defineFeatureSet({
    events: [payment, refund],
    scored: payment.type,
    entities,
    views,
    derived,
    services: [defineService({ name: 'all', vector: [] })],
  })
}

export interface StreamEvent {
  readonly eventId: string
  readonly eventType: string
  readonly timeMs: number
  readonly data: Readonly<Record<string, unknown>>
}

const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000]

/** Late, out of order, twice, at the very same time, after long silence, and mostly by the same few. */
export function randomStream(random: Random): StreamEvent[] {
  const events: StreamEvent[] = []
  let clockMs = random.pick([0, -400 * day, 1_780_000_000_000]) + random.below(day)
  const pace = random.pick([500, second, 30 * second, 10 * minute, hour])
  const hot = random.pick([0, 0.5, 0.9])
  const length = 20 + random.below(40)
  for (let i = 0; i < length; i += 1) {
    if (random.chance(0.1) && events.length > 0) {
      events.push(random.pick(events))
      continue
    }
    clockMs += random.chance(0.2) ? 0 : random.below(2 * pace)
    if (random.chance(0.05)) clockMs += random.below(60 * day)
    const late = random.chance(0.25) ? random.below(random.pick([5 * second, minute, hour, day, 45 * day])) : 0
    // On the edge of a tile now and then.
    const grid = random.pick([1, 1, second, minute, hour])
    const timeMs = Math.floor((clockMs - late) / grid) * grid
    const customerId = random.chance(hot) ? 'c0' : `c${random.below(3)}`
    const refunds = random.chance(0.2)
    const amount = random.chance(0.05) ? 10_000_000_000 : random.below(2_000)
    const data = refunds
      ? { customerId, amount }
      : {
          customerId,
          terminalId: random.chance(hot) ? 't0' : `t${random.below(3)}`,
          amount,
          items: random.below(9) - 2,
          kind: random.pick(['card', 'cash']),
        }
    events.push({ eventId: `e${i}`, eventType: refunds ? refund.type : payment.type, timeMs, data })
  }
  return events
}
