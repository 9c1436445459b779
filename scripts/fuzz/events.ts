import { z } from 'zod'
import { defineEvent } from '../../src/define/event-type.ts'

/* The events of random streams: payments and refunds, which are both scored, and labels of each. */

const paid = z.object({
  customerId: z.string(),
  /** A payment over the phone names none. */
  terminalId: z.string().optional(),
  amount: z.number().int(),
  items: z.number().int(),
  kind: z.string(),
  online: z.boolean(),
  /** Any double. */
  weight: z.number().optional(),
  gift: z.boolean().nullable().optional(),
  note: z.string().optional(),
})
const refunded = z.object({ customerId: z.string(), amount: z.number().int() })

export const payment = defineEvent({
  type: 'payment.made',
  aggregateType: 'customer',
  aggregateField: 'customerId',
  timestamp: 'time',
  scored: { emits: 'payment.judged', id: 'paymentId', time: 'paymentTimeMs', repeats: ['customerId'] },
  versions: { 1: { schema: paid } },
  current: paid,
})
export const refund = defineEvent({
  type: 'payment.refunded',
  aggregateType: 'customer',
  aggregateField: 'customerId',
  timestamp: 'time',
  scored: { emits: 'refund.judged', id: 'refundId', time: 'refundTimeMs', repeats: ['customerId', 'amount'] },
  versions: { 1: { schema: refunded } },
  current: refunded,
})

const labelled = z.object({
  paymentId: z.string(),
  customerId: z.string(),
  terminalId: z.string().optional(),
  amount: z.number().int(),
  paidMs: z.number().int(),
  loss: z.number().int(),
  reason: z.string(),
  sure: z.boolean(),
})

function labelOfPayment<Type extends string>(type: Type) {
  return defineEvent({
    type,
    aggregateType: 'customer',
    aggregateField: 'customerId',
    timestamp: 'paidMs',
    label: {
      of: payment,
      subject: 'paymentId',
      repeats: { customerId: 'customerId', terminalId: 'terminalId', amount: 'amount', paidMs: 'time' },
    },
    versions: { 1: { schema: labelled } },
    current: labelled,
  })
}

export const flagged = labelOfPayment('payment.flagged')
/** Takes a flag back. */
export const cleared = labelOfPayment('payment.cleared')

/** The field that names the refund has the name of the one for a payment: the rule of the label decides which it is. */
const disputedRefund = z.object({
  paymentId: z.string(),
  customerId: z.string(),
  amount: z.number().int(),
  refundedMs: z.number().int(),
  loss: z.number().int(),
})

function labelOfRefund<Type extends string>(type: Type) {
  return defineEvent({
    type,
    aggregateType: 'customer',
    aggregateField: 'customerId',
    timestamp: 'refundedMs',
    label: {
      of: refund,
      subject: 'paymentId',
      repeats: { customerId: 'customerId', amount: 'amount', refundedMs: 'time' },
    },
    versions: { 1: { schema: disputedRefund } },
    current: disputedRefund,
  })
}

export const disputed = labelOfRefund('refund.disputed')
/** Takes a dispute back. */
export const settled = labelOfRefund('refund.settled')
