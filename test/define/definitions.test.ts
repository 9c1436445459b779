import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { count, mean, rate, sum } from '../../src/define/aggregate.ts'
import { defineEntity } from '../../src/define/entity.ts'
import { defineEvent } from '../../src/define/event-type.ts'
import { coalesce, divide, featureReference, modulo, add } from '../../src/define/expression.ts'
import { defineDerived, defineService, type FeatureSet } from '../../src/define/feature-set.ts'
import { defineFeatureSet } from '../../src/define/define-feature-set.ts'
import { condition, measure, reasonForm } from '../../src/define/reason.ts'
import { category, defineSource } from '../../src/define/source.ts'
import { defineView, featureName } from '../../src/define/view.ts'
import { dayMs, minuteMs } from '../../src/base/units.ts'
import { customer, large, order, orders, orderService, orderSchema, shop, shopOpened, spend } from './support/shop.ts'
import { login, logins } from './support/visits.ts'

const eventOptions = {
  type: 'order.placed',
  aggregateType: 'customer',
  aggregateField: 'customerId' as const,
  timestamp: 'time' as const,
  current: orderSchema,
}
const viewOptions = {
  name: 'spend',
  version: 1,
  entity: customer,
  aggregates: [count(orders)],
  windows: ['1h', '1d'] as const,
  hop: '1m' as const,
}
const setOptions: FeatureSet = {
  events: [order],
  entities: [customer, shop],
  views: [spend],
  derived: [],
  services: [orderService],
}

describe('an event type', () => {
  it('knows its current version and the field that names its aggregate', () => {
    expect(order).toMatchObject({ type: 'order.placed', currentVersion: 1, aggregateField: 'customerId' })
    expect(Object.isFrozen(order)).toBe(true)
  })

  it.each(['order', 'Order.placed', 'order.Placed', 'order..placed', 'order.placed.', 'order.2', ''])(
    'is not called "%s"',
    (type) => {
      expect(() => defineEvent({ ...eventOptions, type, versions: { 1: { schema: orderSchema } } })).toThrow(
        `event type "${type}": write it as noun.past_tense in lower case`,
      )
    },
  )

  it('needs every version, each but the newest with a way up, and the newest as the current one', () => {
    const old = z.object({ customerId: z.string() })
    const upcast = (data: never) => data
    const define = (versions: Parameters<typeof defineEvent>[0]['versions']) => () =>
      defineEvent({ ...eventOptions, versions })
    expect(define({ 1: { schema: old, upcast }, 3: { schema: orderSchema } })).toThrow('version 2 is missing')
    expect(define({ 2: { schema: orderSchema } })).toThrow('version 1 is missing')
    expect(define({ 1: { schema: old }, 2: { schema: orderSchema } })).toThrow(
      'event type "order.placed": version 1 has no upcast to version 2',
    )
    expect(define({ 1: { schema: old } })).toThrow('current is not the schema of version 1')
    expect(define({ 1: { schema: old, upcast }, 2: { schema: orderSchema } })).not.toThrow()
  })

  it('may accept fewer values than its schema knows', () => {
    const accepts = { currency: ['EUR'] } as const
    const event = defineEvent({ ...eventOptions, versions: { 1: { schema: orderSchema } }, accepts })
    expect([event.accepts, order.accepts]).toEqual([accepts, {}])
    expect(Object.isFrozen(event.accepts)).toBe(true)
  })

  it('says how old and how far ahead its times may be, ahead no more than states can bear', () => {
    const define = (times: NonNullable<Parameters<typeof defineEvent>[0]['times']>) =>
      defineEvent({ ...eventOptions, versions: { 1: { schema: orderSchema } }, times })
    expect(order.times).toEqual({ pastMs: 90 * dayMs, observedPastMs: 90 * dayMs, futureMs: 5 * minuteMs })
    expect(define({ past: '1d', future: '0s' }).times).toEqual({ pastMs: dayMs, observedPastMs: dayMs, futureMs: 0 })
    expect(() => define({ future: '6m' })).toThrow('event type "order.placed": times: future is 5m at most')
    expect(() => define({ observedPast: '2d' })).toThrow('its time is that of the observation: give past alone')
  })
})

describe('names', () => {
  it.each(['Customer', 'customer-id', 'customer_', '_customer', 'customer1', ''])(
    'no entity is called "%s"',
    (name) => {
      expect(() => defineEntity({ name, keyFields: ['id'] })).toThrow(
        `entity "${name}": write the name in lower_snake_case`,
      )
    },
  )

  it.each(['Orders', 'big-orders', 'orders2', ''])('no source and no column is called "%s"', (name) => {
    expect(() => defineSource({ name, event: order, columns: {} })).toThrow(`"${name}" is not lower_snake_case`)
    expect(() => defineSource({ name: 'orders', event: order, columns: { [name]: 'amountMinor' } })).toThrow(
      `source "orders": "${name}" is not lower_snake_case`,
    )
  })

  it('of features are derived: view, column, aggregate, window', () => {
    expect(featureName('customer_spend', 'amount_sum', '7d')).toBe('customer_spend__amount_sum_7d')
    expect(
      [count(orders), sum(orders, 'amount'), mean(orders, 'amount'), rate(large, orders)].map((a) => a.name),
    ).toEqual(['order_count', 'amount_sum', 'amount_mean', 'large_rate'])
    expect(spend.feature('amount_mean_1h').tree).toEqual({ op: 'feature', name: 'spend__amount_mean_1h' })
  })
})

describe('a source', () => {
  it('has conditions on fields of its event only', () => {
    const where = [{ field: 'amount', is: '>', value: 1 }] as never
    expect(() => defineSource({ name: 'large', event: order, columns: {}, where })).toThrow(
      'source "large": where: order.placed has no field amount',
    )
  })
})

describe('a column', () => {
  const withColumn = (column: unknown) => () =>
    defineSource({ name: 'login', event: login, columns: { a: column } as never })

  it('is a whole number, a text, or a category of values that the field can have', () => {
    const fields = ['attempts', 'seconds', 'deviceId', category('deviceId', 'd1'), category('isRemembered', true)]
    for (const field of fields) expect(withColumn(field)).not.toThrow()
    for (const field of ['isRemembered', category('attempts', 'one'), category('isRemembered', 'yes')]) {
      expect(withColumn(field)).toThrow(/^source "login": \w+ of login.attempted is no column/)
    }
    const schema = z.object({ userId: z.string(), share: z.number() })
    const measured = defineEvent({
      ...eventOptions,
      type: 'user.measured',
      aggregateField: 'userId',
      versions: { 1: { schema } },
      current: schema,
    })
    expect(() => defineSource({ name: 'measure', event: measured, columns: { share: 'share' } })).toThrow(
      'source "measure": share of user.measured is no column: that is a whole number, a text, or a category',
    )
  })

  it('of text is in no sum, and of a name that the source does not have in nothing', () => {
    expect(() => sum(logins, 'device' as never)).toThrow('source "login": sum: device is a text: make it a category')
    expect(() => mean(logins, 'delay' as never)).toThrow('source "login": sum: it has no column delay')
    expect(() => category('plan', 'a', 'b', 'a')).toThrow('category "plan": a stands twice')
    expect(() => category('plan')).toThrow('category "plan": name its values')
  })
})

describe('a view', () => {
  it.each([
    [{ name: 'Spend' }, 'view "Spend": write the name in lower_snake_case'],
    [{ aggregates: [] }, 'view "spend": needs at least one aggregate and one window'],
    [{ windows: [] }, 'view "spend": needs at least one aggregate and one window'],
    [{ hop: '0s' as const }, 'view "spend": the hop must be longer than nothing'],
    [{ hop: '7m' as const }, 'view "spend": the hop 7m does not divide 1h'],
    [{ delay: '90s' as const }, 'view "spend": the hop 1m does not divide 90s'],
    [{ windows: ['99999999999999d' as const] }, 'view "spend": 99999999999999d is longer than 36500d'],
    [{ windows: ['1h', '0s'] as const }, 'view "spend": a window must be longer than nothing'],
    [{ windows: ['1h', '60m'] as const }, 'view "spend": two windows have the same length'],
    [{ aggregates: [count(orders), count(orders)] }, 'view "spend": two aggregates are both named order_count'],
    [
      { delay: '-5m' as const },
      'view "spend": "-5m" is not a duration: write a whole number and s, m, h or d, such as',
    ],
    [{ windows: ['1h', '1w'] as never }, 'view "spend": "1w" is not a duration'],
    [
      { hop: '1x' as never },
      'view "spend": "1x" is not a duration: write a whole number and s, m, h or d, such as 30s, 5m, 7d',
    ],
  ])('explains the mistake in %j', (mistake, message) => {
    expect(() => defineView({ ...viewOptions, ...mistake })).toThrow(message)
  })

  it('has no feature that it does not compute', () => {
    expect(() => defineView(viewOptions).feature('order_count_7d' as never)).toThrow(
      'view "spend": has no feature order_count_7d',
    )
  })

  it('says whether a feature can be null', () => {
    expect(spend.feature('order_count_1h').nullable).toBe(false)
    expect(spend.feature('amount_sum_1h').nullable).toBe(false)
    expect(spend.feature('amount_mean_1h').nullable).toBe(true)
    expect(spend.feature('large_rate_1d').nullable).toBe(true)
  })
})

describe('an expression', () => {
  it('has finite constants and divides by none that is 0', () => {
    const value = spend.feature('order_count_1h')
    expect(() => add(value, NaN)).toThrow('a constant in an expression must be finite, not NaN')
    expect(() => add(Infinity, value)).toThrow('a constant in an expression must be finite, not Infinity')
    expect(() => divide(value, 0)).toThrow('divide by a constant other than 0; ratio answers null where')
    expect(() => modulo(value, 0)).toThrow('modulo needs a constant other than 0')
  })
})

describe('a service', () => {
  const named = defineDerived('busy', 'orders', coalesce(spend.feature('amount_mean_1h'), 0))

  it('takes named features, each once', () => {
    expect(defineService({ name: 's', vector: [named, spend.feature('order_count_1h')] }).vector).toEqual([
      'busy',
      'spend__order_count_1h',
    ])
    expect(() => defineService({ name: 's', vector: [add(spend.feature('order_count_1h'), 1)] })).toThrow(
      'service "s": element 0 is an expression; give it a name with defineDerived',
    )
    expect(() => defineService({ name: 's', vector: [named, named] })).toThrow(
      'service "s": busy stands twice in the vector',
    )
  })

  it.each(['Fraud', 'fraud-1', '1fraud', 'fraud__twice', 'fraud v1', ''])('is not called "%s"', (name) => {
    expect(() => defineService({ name, vector: [named] })).toThrow(
      `service "${name}": write the name in lower_snake_case`,
    )
  })

  it('may have a number in its name', () => {
    expect(defineService({ name: 'fraud_v2', vector: [named] }).name).toBe('fraud_v2')
  })

  it.each(['Busy', 'busy-1', '1busy', 'busy__twice', ''])('no derived feature is called "%s"', (name) => {
    expect(() => defineDerived(name, 'orders', add(1, 1))).toThrow(`feature "${name}": write it in lower_snake_case`)
  })
})

describe('a feature set', () => {
  const define = (changes: Partial<FeatureSet>) => () => defineFeatureSet({ ...setOptions, ...changes })
  const unknown = featureReference('spend__nothing_1h', false)

  it('is one that a processor can run', () => {
    expect(define({})).not.toThrow()
  })

  it('has exactly one entity with partitionKey', () => {
    expect(define({ entities: [shop] })).toThrow('a feature set has one entity with partitionKey, not 0')
    const second = defineEntity({ name: 'card', keyFields: ['cardId'], partitionKey: true })
    expect(define({ entities: [customer, second] })).toThrow('a feature set has one entity with partitionKey, not 2')
  })

  it('has the entities and events of its views', () => {
    const card = defineEntity({ name: 'card', keyFields: ['cardId'] })
    const ofCards = defineView({ ...viewOptions, entity: card })
    expect(define({ views: [ofCards] })).toThrow('view "spend": its entity is not in the feature set')
    expect(define({ entities: [customer, card], views: [ofCards] })).toThrow(
      'view "spend": order.placed has no field cardId',
    )
    expect(define({ events: [shopOpened] })).toThrow('view "spend": event type order.placed is not in the feature set')
  })

  it('has every entity, view, service and event type once', () => {
    const other = defineEntity({ name: 'shop', keyFields: ['currency'] })
    expect(define({ entities: [customer, shop, other] })).toThrow('two entities are both named shop')
    // Not one feature in common, and no way to tell whose they are.
    const more = defineView({ ...viewOptions, aggregates: [sum(orders, 'amount')], windows: ['3h'] })
    expect(define({ views: [spend, more] })).toThrow('two views are both named spend')
    const service = (name: string) => defineService({ name, vector: [spend.feature('order_count_1h')] })
    expect(define({ services: [service('a'), service('b'), service('a')] })).toThrow('two services are both named a')
    expect(define({ events: [order, shopOpened, order] })).toThrow('two event types are both named order.placed')
  })

  it('has every feature once, and each before it is read', () => {
    const busy = defineDerived('busy', 'orders', spend.feature('order_count_1h'))
    const busier = defineDerived('busier', 'orders', add(busy, 1))
    expect(define({ derived: [busy, busy] })).toThrow('two features are both named busy')
    expect(define({ derived: [busier, busy] })).toThrow('feature "busier": reads busy, which is not defined before it')
    expect(define({ derived: [busy, busier] })).not.toThrow()
    expect(define({ services: [defineService({ name: 's', vector: [unknown] })] })).toThrow(
      'service "s": no feature spend__nothing_1h',
    )
  })
})

describe('a reason', () => {
  it('is named after its feature, or as it says, and tells the window in words', () => {
    const plain = measure('{value} order{s} in {window}')
    const form = { kind: 'measure', text: '{value} order{s} in 90 minutes', unit: 'number' }
    expect(reasonForm(plain, 'spend__order_count_90m', '90m')).toEqual({ ...form, code: 'spend__order_count_90m' })
    const coded = measure('{value} order{s} in {window}', { code: 'many_orders' })
    expect(reasonForm(coded, 'spend__order_count_1h', '1h')).toMatchObject({
      code: 'many_orders_1h',
      text: '{value} order{s} in 1 hour',
    })
    expect(reasonForm(condition({ yes: 'new', no: 'known' }), 'first')).toEqual({
      ...{ kind: 'condition', code: 'first', yes: 'new', no: 'known' },
    })
  })

  it.each<[string, () => unknown]>([
    ['write {value} where the value belongs, once', () => measure('many orders')],
    ['there is no {count}', () => measure('{value} of {count}')],
    ['there is no {value}', () => condition({ yes: '{value}', no: 'none' })],
    ['write it in lower_snake_case', () => measure('{value}', { code: 'Many Orders' })],
    [
      'another one gives the reason much',
      () => {
        const reason = measure('{value}', { code: 'much' })
        const one = featureReference('spend__order_count_1h', false)
        const derived = ['more', 'most'].map((name) => defineDerived(name, name, one, reason))
        return defineFeatureSet({ ...setOptions, derived })
      },
    ],
  ])('that is wrong is refused: %s', (text, define) => {
    expect(define).toThrow(text)
  })
})
