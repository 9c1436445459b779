import { z } from 'zod'
import { count, mean, rate, sum } from '../../../src/define/aggregate.ts'
import { defineEntity } from '../../../src/define/entity.ts'
import { defineEvent } from '../../../src/define/event-type.ts'
import { defineService } from '../../../src/define/feature-set.ts'
import { defineSource } from '../../../src/define/source.ts'
import { defineView } from '../../../src/define/view.ts'

/** Definitions of another business than the shipped one: nothing of the language may depend on payments. */
export const orderSchema = z.object({
  customerId: z.string(),
  shopId: z.string(),
  amountMinor: z.number().int(),
  currency: z.enum(['EUR', 'USD']),
})

export const order = defineEvent({
  type: 'order.placed',
  aggregateType: 'customer',
  aggregateField: 'customerId',
  timestamp: 'time',
  scored: { emits: 'order.scored', id: 'orderId', time: 'orderTimeMs', repeats: ['customerId'] },
  versions: { 1: { schema: orderSchema } },
  current: orderSchema,
})

const openedSchema = z.object({ shopId: z.string() })
export const shopOpened = defineEvent({
  type: 'shop.opened',
  aggregateType: 'shop',
  aggregateField: 'shopId',
  timestamp: 'time',
  versions: { 1: { schema: openedSchema } },
  current: openedSchema,
})

export const customer = defineEntity({ name: 'customer', keyFields: ['customerId'], partitionKey: true })
export const shop = defineEntity({ name: 'shop', keyFields: ['shopId'] })

export const orders = defineSource({ name: 'order', event: order, columns: { amount: 'amountMinor' } })
export const large = defineSource({
  name: 'large',
  event: order,
  columns: { amount: 'amountMinor' },
  where: [{ field: 'amountMinor', is: '>=', value: 100_00 }],
})

/** What every set needs in which orders are scored. */
export const orderService = defineService({ name: 'all', of: order, vector: [] })

export const spend = defineView({
  name: 'spend',
  version: 1,
  entity: customer,
  aggregates: [count(orders), sum(orders, 'amount'), mean(orders, 'amount'), rate(large, orders)],
  windows: ['1h', '1d'],
  hop: '1m',
})
