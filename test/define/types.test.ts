import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { distinct, lastK, mean, sum, type Aggregate } from '../../src/define/aggregate.ts'
import { defineEvent } from '../../src/define/event-type.ts'
import {
  add,
  coalesce,
  divide,
  includingThisEvent,
  ratio,
  eventField,
  zScore,
  type Typed,
} from '../../src/define/expression.ts'
import { defineDerived, defineService } from '../../src/define/feature-set.ts'
import { defineSource } from '../../src/define/source.ts'
import { order, orders, orderSchema, spend } from './support/shop.ts'
import { login } from './support/visits.ts'

/**
 * What must not compile. An expected error that does not come is an error of the compiler, which one test below runs.
 * The functions are never called; some of the mistakes would throw as well.
 */
const mistakes = {
  'a sum over a column of text': () =>
    sum(
      defineSource({ name: 'order', event: order, columns: { currency: 'currency', amount: 'amountMinor' } }),
      // @ts-expect-error -- currency is a string: nothing can be summed
      'currency',
    ),
  'a column that the event does not have': () =>
    // @ts-expect-error -- orders have no tax
    defineSource({ name: 'order', event: order, columns: { tax: 'taxMinor' } }),
  'a sum over a column that the source does not have': () =>
    // @ts-expect-error -- the source has the column amount only
    sum(orders, 'currency'),
  'a mean over a field by its name in the event': () =>
    // @ts-expect-error -- the column is called amount
    mean(orders, 'amountMinor'),
  'a condition with a value of another type': () =>
    defineSource({
      name: 'order',
      event: order,
      columns: {},
      // @ts-expect-error -- amounts are numbers
      where: [{ field: 'amountMinor', is: '>', value: '100' }],
    }),
  'a condition on a value that never occurs': () =>
    defineSource({
      name: 'order',
      event: order,
      columns: {},
      // @ts-expect-error -- the schema knows EUR and USD
      where: [{ field: 'currency', is: '==', value: 'GBP' }],
    }),
  'a condition on a field that the event does not have': () =>
    defineSource({
      name: 'order',
      event: order,
      columns: {},
      // @ts-expect-error -- the field is called amountMinor
      where: [{ field: 'amount', is: '>', value: 100 }],
    }),
  'how often a column occurs that the source does not have': () =>
    // @ts-expect-error -- the source has the column amount only
    distinct(orders, 'shop', { cap: 3 }),
  'the last values of a column of text': () =>
    lastK(
      defineSource({ name: 'order', event: order, columns: { shop: 'shopId' } }),
      // @ts-expect-error -- a feature is a number
      'shop',
      3,
    ),
  'an order of texts': () =>
    defineSource({
      name: 'order',
      event: order,
      columns: {},
      // @ts-expect-error -- texts are equal or not
      where: [{ field: 'currency', is: '<', value: 'EUR' }],
    }),
  'a feature with another window': () =>
    // @ts-expect-error -- the windows are 1h and 1d
    spend.feature('order_count_7d'),
  'a feature with another aggregate': () =>
    // @ts-expect-error -- there is no maximum
    spend.feature('amount_max_1h'),
  'a nullable feature in a service': () =>
    // @ts-expect-error -- a mean is null where there is nothing
    defineService({ name: 's', vector: [spend.feature('amount_mean_1h')] }),
  'a derived feature that can be null in a service': () => {
    const share = defineDerived('share', 'x', ratio(spend.feature('amount_sum_1h'), spend.feature('amount_sum_1d')))
    // @ts-expect-error -- a ratio is null where its right side is 0
    return defineService({ name: 's', vector: [share] })
  },
  'a z-score in a service': () => {
    const unusual = defineDerived(
      'unusual',
      'x',
      zScore(eventField(order, 'amountMinor'), spend.feature('amount_mean_1h'), 1),
    )
    // @ts-expect-error -- there may be no mean
    return defineService({ name: 's', vector: [unusual] })
  },
  'a mean counted as if it were always there': () =>
    includingThisEvent(
      spend.feature('order_count_1h'),
      // @ts-expect-error -- a mean is null where there is nothing
      spend.feature('amount_mean_1h'),
      eventField(order, 'amountMinor'),
    ),
  'a default that can be null': () =>
    // @ts-expect-error -- the last value must always be there
    coalesce(spend.feature('amount_mean_1h'), spend.feature('amount_mean_1d')),
  'a text of the event in an expression': () =>
    // @ts-expect-error -- an expression reads numbers and booleans
    eventField(order, 'currency'),
  'a field that the event does not have in an expression': () =>
    // @ts-expect-error -- there is no such field
    eventField(order, 'price'),
  'a field that the event may lack, in a service': () => {
    const waited = defineDerived('waited', 'x', eventField(login, 'seconds'))
    // @ts-expect-error -- a login without seconds has no value
    return defineService({ name: 's', vector: [waited] })
  },
  'an aggregate field that the data does not have': () =>
    defineEvent({
      type: 'order.placed',
      aggregateType: 'customer',
      // @ts-expect-error -- there is no such field
      aggregateField: 'buyerId',
      timestamp: 'time',
      versions: { 1: { schema: orderSchema } },
      current: orderSchema,
    }),
}

describe('the compiler', () => {
  it(`refuses ${Object.keys(mistakes).join(', ')}`, { timeout: 120_000 }, () => {
    const file = fileURLToPath(import.meta.url)
    const config = ts.findConfigFile(file, (path) => ts.sys.fileExists(path)) ?? ''
    const { options } = ts.convertCompilerOptionsFromJson(
      (ts.readConfigFile(config, (path) => ts.sys.readFile(path)).config as { compilerOptions: unknown })
        .compilerOptions,
      config.replace(/[^/]*$/, ''),
    )
    const program = ts.createProgram([file], options)
    const found = [...program.getSemanticDiagnostics(program.getSourceFile(file))]
    expect(found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([])
  })
})

describe('the compiler knows', () => {
  it('which names a feature can have', () => {
    expectTypeOf(sum(orders, 'amount')).toEqualTypeOf<Aggregate<'amount_sum', false>>()
    expectTypeOf<
      Parameters<typeof spend.feature>[0]
    >().toEqualTypeOf<`${'order_count' | 'amount_sum' | 'amount_mean' | 'large_rate'}_${'1h' | '1d'}`>()
  })

  it('whether a feature can be null', () => {
    const [there, maybe] = [spend.feature('order_count_1h'), spend.feature('amount_mean_1h')]
    expectTypeOf(there).toEqualTypeOf<Typed<false>>()
    expectTypeOf(maybe).toEqualTypeOf<Typed<true>>()
    expectTypeOf(add(there, 1)).toEqualTypeOf<Typed<false>>()
    expectTypeOf(add(there, maybe)).toEqualTypeOf<Typed<true>>()
    expectTypeOf(divide(maybe, 2)).toEqualTypeOf<Typed<true>>()
    expectTypeOf(ratio(there, there)).toEqualTypeOf<Typed<true>>()
    expectTypeOf(coalesce(maybe, there)).toEqualTypeOf<Typed<false>>()
  })
})
